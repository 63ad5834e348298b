"""Segmentation of street scenes: UperNet on CamVid, with and without wavelet layers."""

"""Denoising of photographs: MIRNet-v2, with and without wavelet layers."""

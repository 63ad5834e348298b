"""Experiments on folders of photographs: what a design decision gains, and results other pages are written from."""

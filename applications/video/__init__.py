"""Video compression: DVC with a file format, with and without wavelet layers."""

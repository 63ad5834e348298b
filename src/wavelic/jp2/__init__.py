"""Plain JPEG 2000 for any viewer, lossy by the 9/7 wavelet or lossless by the 5/3 one, written through libopenjp2."""

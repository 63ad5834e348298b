"""One file per output format that Pillow does not write in full."""

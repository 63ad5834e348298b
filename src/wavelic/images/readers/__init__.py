"""One file per input format: what Pillow loses is read by the format's own rules."""

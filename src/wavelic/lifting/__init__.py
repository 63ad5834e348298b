"""Learned lifting steps around 9/7 inside an ordinary JPEG 2000 file."""

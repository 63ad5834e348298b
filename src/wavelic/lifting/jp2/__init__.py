"""Coefficients of any wavelet-like transform as an ordinary JP2 file, and back: see `docs/lifting.md`.

Written: the base wavelet's inverse makes a picture of the coefficients (`pseudo_image`, `codes`), which libopenjp2
codes; a box says how to undo it (`box`).  Read: `file` checks and describes, `read` synthesises, `finer` asks the stock
decoder for more bits; `large` and its parts do both in windows, level by level.
"""

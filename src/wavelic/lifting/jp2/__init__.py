"""Coefficients of a wavelet-like transform as an ordinary JP2 file, and back: see `docs/lifting.md`.

    image -> colour transform -> (learned) analysis -> inverse 9/7 -> inverse colour transform -> 12-bit samples -> JP2
    JP2 -> libopenjp2 -> colour transform -> forward 9/7 -> (learned) synthesis -> inverse colour transform -> image

Written: `analysis` and `pseudo_image` make a picture of the coefficients, which libopenjp2 codes; a box says how to
undo it (`box`).  Read: `opening` checks a file, `file` and `info` say what it has; `codestream` has the bytes or
fetches them; `stored_image` decodes the pseudo-image; `synthesis` makes the image of it, in windows
(`synthesis_windows`) or level by level (`synthesis_levels`).
"""

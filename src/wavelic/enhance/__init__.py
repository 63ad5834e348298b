"""Enhanced decoding of ordinary JPEG 2000: see `docs/enhance.md`.

    codestream -> libopenjp2 -> signals of every level -> coded coefficients, and how far each code-block is decoded
    -> one small network, level by level from the coarsest -> corrections -> standard synthesis -> added to the decode

`signals` decodes; `knowledge` says what the packet headers tell; `level` turns both into the inputs of the network and
its output into corrections; `network` is the network; `reading` does images and windows of any size; `objective`,
`training`, `stage` and `export` train it; `weights` finds the trained ones.
"""

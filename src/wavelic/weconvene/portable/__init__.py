"""A decoder of `weconvene` files that needs NumPy and no torch.

Loading torch takes longer than decoding a small photograph, so the first of a process are decoded here
(`decode.suits`).  It is also a second implementation of the format, from the container to the samples: it shares the
tables of units and layout and the reader of symbols with the other, and none of the networks or transforms.  The
coefficients are the same integers, samples the same up to the rounding of floats.
"""

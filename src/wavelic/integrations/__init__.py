"""Compressed images inside other programs' arrays and pipelines: numcodecs and zarr codecs, batches of small images.

An opened file itself can be sliced like an array and read like a slide: `wavelic.codec.slicing`.
"""

"""Codec `bilevel`: scans of text and drawings, every sample black or white, without loss."""

"""Two codecs of another package: the folder that a new codec is."""

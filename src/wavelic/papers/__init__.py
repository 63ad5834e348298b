"""Published networks that are not shipped as codecs, and the catalogue of all architectures."""

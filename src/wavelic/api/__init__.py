"""Image to file and back for each codec; importing this package loads no torch."""

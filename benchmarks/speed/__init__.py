"""Benchmarks of time and memory, which make their own pictures; `python -m benchmarks.speed` runs all of them."""

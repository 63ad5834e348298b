"""Scripts that write the figures of README.md and docs/ from committed result files."""

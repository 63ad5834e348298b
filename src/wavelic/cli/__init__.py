"""The `wavelic` command: parses, calls the package, prints."""

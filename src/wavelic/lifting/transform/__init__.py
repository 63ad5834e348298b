"""The learned lifting transform: structures, operators, windows."""

"""Data, objectives and one readable training loop; recipes are YAML files in ``recipes/``."""

"""Training the learned lifting transform."""

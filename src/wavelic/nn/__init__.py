"""Network layers shared by the models."""

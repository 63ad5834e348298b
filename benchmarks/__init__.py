"""Scripts that measure wavelic; README.md says what each folder has."""

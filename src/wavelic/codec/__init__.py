"""What a codec is, and what every codec uses: options, targets, opened files, weight cards."""

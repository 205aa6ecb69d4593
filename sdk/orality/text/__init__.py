"""What a text is made of: languages, scripts, and the tokens two texts share."""

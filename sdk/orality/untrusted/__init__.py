"""Input from elsewhere: bounded documents, addresses, escaping, and mistakes in settings."""

"""Where and in which precision a training runs."""

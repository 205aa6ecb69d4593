"""Names of millions of recordings, and which files belong to which."""

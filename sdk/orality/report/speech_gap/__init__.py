"""How far a system's speech is from recordings."""

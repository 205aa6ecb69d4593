"""Speech to units: an encoder and k-means over one of its layers."""

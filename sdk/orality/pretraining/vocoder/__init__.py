"""Units to speech: a unit HiFi-GAN."""

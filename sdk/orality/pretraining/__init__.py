"""A stack of one's own: quantizer, unit language model and unit vocoder, trained from speech."""

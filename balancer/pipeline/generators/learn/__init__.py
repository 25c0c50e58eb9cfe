"""Learn what a problem's inputs look like, from the known ones and from the validator's text."""

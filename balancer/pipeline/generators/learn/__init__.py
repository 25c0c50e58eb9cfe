"""Learn what a problem's inputs look like, from those that are known and from the validator's text."""

"""Learning of a problem's input format, from known inputs and the validator's text."""

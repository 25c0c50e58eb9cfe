"""Drawing of values for a new input, from what is known of the format."""

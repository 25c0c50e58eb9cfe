"""Search for the inputs that tell what survives from what is right, by running both."""

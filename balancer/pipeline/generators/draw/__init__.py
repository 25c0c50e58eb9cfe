"""Draw the values of a new input from what has been learnt. It must not know how an input is written down."""

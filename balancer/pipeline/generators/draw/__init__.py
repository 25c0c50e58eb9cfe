"""Draw the values of a new input, within what has been learnt."""

"""Draw the values of a new input from what has been learnt."""

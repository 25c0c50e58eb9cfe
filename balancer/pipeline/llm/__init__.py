"""A language model that proposes cases: what it is asked, what it may cost, and what its answers are worth."""

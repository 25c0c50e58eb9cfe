"""Many small inputs in one run of a program: it is started once, and goes on in a copy of itself for each input."""

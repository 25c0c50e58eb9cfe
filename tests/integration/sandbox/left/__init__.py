"""Ways to leave something behind in a sandbox, each with a look for it: see `leaving` in the folder above."""

"""Settings: the tables of config files, also made in Python, with checked values."""

"""A page in a browser, and a terminal, that show a pool while it works: what is seen, how it travels, who may ask."""

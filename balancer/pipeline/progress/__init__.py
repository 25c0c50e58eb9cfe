"""How far a run is: what is done, what is left."""

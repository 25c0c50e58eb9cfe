"""Problem packages in, problems out."""

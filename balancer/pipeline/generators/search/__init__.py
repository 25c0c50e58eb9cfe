"""Searches for inputs that separate survivors from right submissions, by running both."""

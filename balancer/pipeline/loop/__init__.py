"""Rounds: inputs are proposed, tried, and proposed anew with what the last ones did in view."""

"""Rounds of one problem: inputs are proposed, checked and judged."""

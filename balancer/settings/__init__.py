"""Settings: the tables of config files, also made in Python, with checked values."""

from typing import Final

__all__ = ["DEFAULT_STRATEGY"]

DEFAULT_STRATEGY: Final = "least_in_flight"
"""The strategy that docs/strategies.md recommends. It is here, as the tables are slow to import."""

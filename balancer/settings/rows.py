"""`[pipeline.rows]`: which rows of a data set, and how many solutions of each.

Decides names, defaults and ranges. It must not know how rows are read.
"""

from typing import Annotated, Literal

from pydantic import Field

from balancer.settings.tables import Settings

__all__ = ["RowSettings"]

_Kind = Literal["public", "private", "generated"]
_Some = Annotated[int, Field(ge=1)] | Literal["all"]


class RowSettings(Settings):
    """`[pipeline.rows]`.

    Attributes:
        split: the part of a data set that has several.
        offset: rows to skip.
        limit: rows to look at after that; None: all.
        ids: only the rows of these names; empty: all.
        right: how many right solutions of a row are used, or "all".
        wrong: how many wrong ones.
        seed: which ones.
        tests: the kinds of known tests that count as the row's own data.
    """

    split: str = "train"
    offset: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1)] | None = None
    ids: list[str] = Field(default_factory=list)
    right: _Some = 4
    wrong: _Some = 8
    seed: int = 1
    tests: Annotated[list[_Kind], Field(min_length=1)] = Field(default=["public", "private"])

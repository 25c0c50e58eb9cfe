"""Rows for verl, such as Eurus-2-RL-Data: tests in the ground truth of a reward model, without solutions.

Columns: https://huggingface.co/datasets/PRIME-RL/Eurus-2-RL-Data.
"""

from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import RowProblem, RowSchema, lists, mapping, name_in, text
from balancer.rows.row_tests import listed_tests

__all__ = ["SCHEMA"]


def _read(row: Mapping[str, Any]) -> RowProblem:
    ability = text(row, "ability", needed=False)
    if ability not in ("", "code"):
        raise PackageError(f"its ability is {ascii(ability)[:60]}, not code")
    truth = mapping("reward_model", row.get("reward_model"))
    where = row.get("extra_info")
    place = {**(where if isinstance(where, Mapping) else {}), "source": row.get("data_source")}
    parts = [name_in(place, column) for column in ("source", "split", "index")]
    asked = [mapping("prompt", message) for message in lists(row, "prompt")]
    return RowProblem(
        id="-".join(filter(None, parts)),
        statement="\n\n".join(text(message, "content") for message in asked if message.get("role") == "user"),
        time_limit_s=None,
        memory_bytes=None,
        tests=tuple(listed_tests("ground_truth", truth.get("ground_truth"), "private")),
        right=(),
        wrong=(),
    )


SCHEMA = RowSchema(frozenset({"reward_model", "prompt"}), "verl's (prompt, reward_model.ground_truth)", _read)

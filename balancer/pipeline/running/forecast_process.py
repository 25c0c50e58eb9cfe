"""Process that forecasts the end of a run: `python -m` this module, with an order on standard input.

It reads the database of the run, which goes on meanwhile, up to the time of the order.
It has the lowest priority, and its memory is free again when it ends.
"""

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import IO, Any, Final

from balancer.errors import BalancerError
from balancer.hookspecs import WorkLeft
from balancer.observing.traces.rows import line
from balancer.observing.traces.tables import table_rows

__all__ = ["answer"]

_NICEST: Final = 19


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order of `EndForecaster`. Return the `Forecast` as plain data, or why there is none."""
    module, _, name = order["function"].partition(":")
    left = WorkLeft(order["done"], tuple(map(tuple, order["left"])), order["at_once"], tuple(order["names"]))
    try:
        with open(order["trace"], "w", encoding="utf-8") as file:
            file.writelines(map(line, table_rows(order["database"], (order["run"], order["until_s"]))))
        return asdict(getattr(import_module(module), name)(order["trace"], order["run"], left))
    except BalancerError as error:
        return {"cannot": str(error)}


def _main(asked: IO[str], said: IO[str]) -> None:
    with suppress(OSError):
        os.nice(_NICEST)
    order = json.load(asked)
    sys.path[:] = order["path"]
    json.dump(answer(order), said)


if __name__ == "__main__":
    _main(sys.stdin, sys.stdout)

"""What the benchmarks share: options, contenders in turns, threads and tables.

A nanosecond here is not one elsewhere, and not one a minute later; a ratio carries over. So contenders take turns, many
times, and each ratio is taken within a turn; shown are medians.
"""

import argparse
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.contracts.documents import ROOT as ROOT

Row = Sequence[object]


def options(doc: str | None, short: str = "", /, **more: Any) -> argparse.Namespace:
    """Read the command line: `--short`, which `short` explains, and further options.

    Args:
        more: name -> (default or type, help). False: a switch; a list: several of the type or like the one in it.
            A name that ends with "_" is that of arguments without a name.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if short:
        parser.add_argument("--short", action="store_true", help=short)
    for name, (default, text) in more.items():
        named: dict[str, Any] = {"help": text}
        if isinstance(default, list):
            kind = default[0] if isinstance(default[0], type) else type(default[0])
            given = kind is not default[0]
            named |= {"nargs": "*", "type": kind, "default": default if given else []}
            named |= {} if given else {"action": "extend"}
        elif default is False:
            named["action"] = "store_true"
        else:
            kind = isinstance(default, type)
            named |= {"type": default} if kind else {"type": type(default), "default": default}
        parser.add_argument(name[:-1] if name.endswith("_") else f"--{name.replace('_', '-')}", **named)
    return parser.parse_args()


# -- turns ------------------------------------------------------------------------------------------


def timed(act: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    """Return the seconds of `clock` that `act` takes; by default of this thread's CPU: others do not count."""
    began_s = clock()
    act()
    return clock() - began_s


@dataclass(frozen=True)
class Turns:
    """What each contender took, turn by turn."""

    took: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return what one took."""
        return median(self.took[name])

    def ratio(self, name: str, to: str) -> float:
        """Return what one took by what another took in the same turn."""
        return median(one / other for one, other in zip(self.took[name], self.took[to], strict=True))


def in_turns(contenders: Mapping[str, Callable[[], float]], turns: int, *, warm: int = 1) -> Turns:
    """Let each contender say what it took, another one first in each turn; the first `warm` turns do not count."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    names = list(contenders)
    for turn in range(turns + warm):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            took[name].append(contenders[name]())
    return Turns({name: found[warm:] for name, found in took.items()})


# -- threads ----------------------------------------------------------------------------------------


@contextmanager
def beside(acts: Iterable[Callable[[], object]], over: threading.Event | None = None) -> Iterator[None]:
    """Have threads do all of this meanwhile; at the end set `over`, which tells them, and wait for them."""
    crew = [threading.Thread(target=act, daemon=True) for act in acts]
    for thread in crew:
        thread.start()
    try:
        yield
    finally:
        if over is not None:
            over.set()
        for thread in crew:
            thread.join()


def together(count: int, act: Callable[[], object]) -> None:
    """Have so many threads do it, and wait for them."""
    with beside([act] * count):
        pass


# -- tables -----------------------------------------------------------------------------------------


def table(head: str, rows: Iterable[Row], title: str = "", words: int = 1) -> Table:
    """Return a table of columns "a | b | c"; all but the first, or the first few, are figures."""
    made = Table(title=title or None)
    for number, heading in enumerate(head.split(" | ")):
        made.add_column(heading, justify="left" if number < words else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(str, row))
    return made


def show(head: str, rows: Iterable[Row], title: str = "", words: int = 1) -> None:
    """Print a table."""
    Console(width=None if sys.stdout.isatty() else 120).print(table(head, rows, title, words))

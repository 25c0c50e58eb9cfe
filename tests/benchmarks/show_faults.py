"""Each fault of the fault server, before each server that has an executor, in a run and in a pipeline.

    python -m tests.benchmarks.show_faults [--only WORD] [--write]

With `--write` every row goes into faults.json beside this file, and the tables that sum it up into docs/faults.md;
with `--only` as well, only the rows of these faults are new.
"""

import json
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TypeVar
from urllib.parse import urlsplit

from balancer.endpoint import Outcome
from balancer.errors import EndpointError
from tests.benchmarks.harness import END, ROOT, begin_of, json_of_rows, markdown, options, write_between
from tests.faults.proxy import FAULTS
from tests.integration.pipeline.fault_matrix import KINDS, Matrix, Met, Ran, impatient

__all__ = ["BEGIN", "END", "LIE", "PAGE", "VERIFIED", "read", "written"]

PAGE = ROOT / "docs" / "faults.md"
_RECORD = ROOT / "tests" / "benchmarks" / "faults.json"
BEGIN = begin_of("show_faults")
_TRIES = 5


LIE = "swapped"
VERIFIED = "Swapped answers, verified"
_MOST_CHARS = 120
_SAME = "unchanged"
Row = Sequence[str]
Found = TypeVar("Found")


def _cells(name: str, faults: list[str]) -> dict[str, Row]:
    logging.disable()  # each ejection is a line
    told: dict[str, Row] = {}
    with impatient(), TemporaryDirectory(prefix="balancer-faults-") as folder:

        def piped(*fault: str, verified: bool = False) -> Ran:
            return _on(
                name, lambda matrix: matrix.pipeline(Path(mkdtemp(dir=folder)) / "run", *fault, verified=verified)
            )

        quiet = piped()
        assert (quiet.unjudged, quiet.complete, quiet.faults) == (0, True, 0)
        for fault in faults:
            met = _on(name, lambda matrix, fault=fault: list(matrix.runs(fault)))
            told[fault] = _row(fault, met, piped(fault), quiet)
            print(name, *told[fault], sep=" | ", flush=True)
        if LIE in faults:
            ran = piped(LIE, verified=True)
            told[VERIFIED] = (name, str(ran.faults), _same(ran, quiet), str(ran.unjudged))
    return told


def _on(name: str, act: Callable[[Matrix], Found]) -> Found:
    """Return what `act` finds on a server of its own; again if somebody else has ended that server meanwhile."""
    for _ in range(_TRIES):
        with KINDS[name].serve() as url:
            try:
                found = act(Matrix(KINDS[name], url))
            except EndpointError:
                if _answers(url):
                    raise
            else:
                if _answers(url):
                    return found
        print(f"{name}: the server itself is gone; once more", flush=True)
    raise RuntimeError(f"{name}: the server did not live long enough")


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), 5.0).close()
    except OSError:
        return False
    return True


def _row(fault: str, met: Sequence[Met], ran: Ran, quiet: Ran) -> Row:
    words = "; then ".join(dict.fromkeys(_short(each.words) for each in met))
    ends = "; then ".join(dict.fromkeys(each.outcome for each in met))
    leases = ", ".join(f"{ran.ends[each.value]} {each.value}" for each in Outcome if ran.ends[each.value])
    return f"`{fault}`", words, ends, str(ran.faults), leases or "none", _same(ran, quiet), str(ran.unjudged)


def _same(ran: Ran, quiet: Ran) -> str:
    differs = ran.differs(quiet)
    return f"**{differs} of {len(quiet.verdicts)} differ**" if differs else _SAME


def _short(text: str) -> str:
    """Return some words of a server as they may stand in a table."""
    plain = text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("\n", " ")
    return plain if len(plain) <= _MOST_CHARS else f"{plain[:_MOST_CHARS]} ..."


def _of_all(cells: Mapping[str, str]) -> str:
    """Return the cell that most servers have, and after it the others by the name of their server."""
    most, _ = Counter(cells.values()).most_common(1)[0]
    others = [f"{name}: {cell}" for name, cell in cells.items() if cell != most]
    return f"{most} ({'; '.join(others)})" if others else most


def _summary(told: Mapping[str, Mapping[str, Row]]) -> Iterator[Row]:
    for name, fault in FAULTS.items():
        of = {kind: table[name] for kind, table in told.items() if name in table}
        if of:
            yield f"`{name}`", fault.says, _of_all({kind: row[2] for kind, row in of.items()})


def written(told: Mapping[str, Mapping[str, Row]]) -> str:
    """Return what stands in the page between the marks, of rows as the record has them."""
    return "\n".join(["## Results", "", *markdown("fault | what the client meets | lease", _summary(told))])


def read() -> dict[str, dict[str, Row]]:
    """Return the rows of the record, by server and fault."""
    found: dict[str, dict[str, Row]] = json.loads(_RECORD.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Print the tables; write them if told to."""
    asked = options(
        __doc__,
        only=("", f"faults whose name has this in it; with --write {LIE!r} as well"),
        write=(False, "write them into docs/faults.md and faults.json"),
    )
    faults = [fault for fault in FAULTS if asked.only in fault or (asked.write and fault == LIE)]
    with ProcessPoolExecutor(len(KINDS)) as processes:  # a pipeline wants the main thread of its process
        told = dict(zip(KINDS, processes.map(_cells, KINDS, [faults] * len(KINDS)), strict=True))
    if asked.write:
        if asked.only:
            told = {kind: {**of, **told[kind]} for kind, of in read().items()}
        _RECORD.write_text(json_of_rows(told), encoding="utf-8")
        write_between(PAGE, BEGIN, written(told))
    print(written(told))


if __name__ == "__main__":
    main()

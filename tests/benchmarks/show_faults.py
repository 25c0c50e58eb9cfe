"""Each fault of the fault server, before each server that has an executor, in a run and in a pipeline.

    python -m tests.benchmarks.show_faults [--only WORD] [--write]

With `--write` the tables go into docs/faults.md, in the place of those that are there; with `--only` as
well, only the rows of these faults are new.
"""

import argparse
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TypeVar
from urllib.parse import urlsplit

from balancer.endpoint import Outcome
from balancer.errors import EndpointError
from balancer.testing.faults import FAULTS
from tests.contracts.documents import ROOT, rows
from tests.integration.pipeline.fault_matrix import KINDS, Matrix, Met, Ran, impatient

__all__ = ["BEGIN", "END", "LIE", "PAGE", "VERIFIED"]

PAGE = ROOT / "docs" / "faults.md"
BEGIN = "<!-- written by `python -m tests.benchmarks.show_faults --write`; do not edit -->\n"
_TRIES = 5
END = "<!-- end of what was written -->\n"


LIE = "swapped"
VERIFIED = "Swapped answers, verified"
_MOST_CHARS = 120
_SAME = "as quiet"
Row = Sequence[str]
Found = TypeVar("Found")


def _cells(name: str, faults: list[str]) -> dict[str, Row]:
    logging.disable()  # each ejection is a line
    told: dict[str, Row] = {}
    with impatient(), TemporaryDirectory(prefix="balancer-faults-") as folder:
        quiet = _on(name, lambda matrix: matrix.pipeline(_fresh(folder)))
        assert (quiet.unjudged, quiet.complete, quiet.faults) == (0, True, 0)
        for fault in faults:
            ran = _on(name, partial(_in_a_pipeline, folder=folder, fault=fault))
            told[fault] = _row(fault, _on(name, partial(_in_runs, fault=fault)), ran, quiet)
            print(name, *told[fault], sep=" | ", flush=True)
        if LIE in faults:
            ran = _on(name, partial(_in_a_pipeline, folder=folder, fault=LIE, verified=True))
            told[VERIFIED] = (name, str(ran.faults), _same(ran, quiet), str(ran.unjudged))
    return told


def _fresh(folder: str) -> Path:
    return Path(mkdtemp(dir=folder)) / "run"


def _in_a_pipeline(matrix: Matrix, *, folder: str, fault: str, verified: bool = False) -> Ran:
    return matrix.pipeline(_fresh(folder), fault, verified=verified)


def _in_runs(matrix: Matrix, *, fault: str) -> list[Met]:
    return matrix.runs(fault)


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
    return f"**{differs} of {len(quiet.verdicts)} others**" if differs else _SAME


def _short(text: str) -> str:
    """Return some words of a server as they may stand in a table."""
    plain = text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'").replace("\n", " ")
    return plain if len(plain) <= _MOST_CHARS else f"{plain[:_MOST_CHARS]} ..."


def _summary(told: Mapping[str, Mapping[str, Row]]) -> Iterator[Row]:
    for name, fault in FAULTS.items():
        of = [table[name] for table in told.values() if name in table]
        if of:
            same = f"{sum(row[5] == _SAME for row in of)} of {len(of)} servers"
            yield f"`{name}`", fault.says, same, str(sum(int(row[6]) for row in of))


def _table(*head: str, table: Iterable[Row]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *table)]


def _text(told: Mapping[str, Mapping[str, Row]]) -> str:
    lines = ["## In sum", ""]
    lines += _table("fault", "what the client meets", "verdicts as in a quiet run", "tasks lost", table=_summary(told))
    for kind, of in told.items():
        head = ("fault", "a run", "its lease", "faults in the pipeline", "leases there", "verdicts", "lost")
        lines += ["", f"## {kind}", "", *_table(*head, table=(of[name] for name in FAULTS if name in of))]
    verified = [of[VERIFIED] for of in told.values() if VERIFIED in of]
    lines += ["", f"## {VERIFIED}", "", *_table("server", "faults", "verdicts", "lost", table=verified)]
    return "\n".join(lines)


def _in_the_page(kind: str) -> dict[str, Row]:
    return {row[0].strip("`"): row for row in rows(PAGE, kind)}


def main() -> None:
    """Print the tables; write them if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"faults whose name has this in it; with --write {LIE!r} as well")
    parser.add_argument("--write", action="store_true", help="write them into docs/faults.md")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if options.only in fault or (options.write and fault == LIE)]
    with ProcessPoolExecutor(len(KINDS)) as processes:  # a pipeline wants the main thread of its process
        told = dict(zip(KINDS, processes.map(_cells, KINDS, [faults] * len(KINDS)), strict=True))
    if options.write:
        if options.only:
            told = {kind: {**_in_the_page(kind), **new} for kind, new in told.items()}
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{_text(told)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(_text(told))


if __name__ == "__main__":
    main()

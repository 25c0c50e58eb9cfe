"""Each fault of a server before each client that goes through a pool: what is seen, what was sent, what was counted.

    python -m tests.benchmarks.show_transports [--only WORD] [--write]

With `--write` every row goes into transports.json beside this file, and the table that sums it up, a row for each
fault, into docs/measurements.md.
"""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.benchmarks.harness import END, ROOT, begin_of, json_of_rows, markdown, options, write_between
from tests.integration.transports.fault_clients import CLIENTS, FAULTS_MET, Client, Met, meet, quick_retries
from tests.model_server import ModelServer, model_server

__all__ = ["BEGIN", "END", "PAGE", "read", "written"]

PAGE = ROOT / "docs" / "measurements.md"
Cells = Sequence[str]
_RECORD = ROOT / "tests" / "benchmarks" / "transports.json"
BEGIN = begin_of("show_transports")
_HEAD = (
    "fault | the bad server sends | beside a good server | requests: bad+good | alone | requests "
    "| lease at the bad server"
)
# Rows: clients that met a fault alike. Beside a sound server: what a caller saw, requests to both, ends of leases at
# both; alone: what it saw, requests, ends of leases.


def _rows(fault: str, model: ModelServer) -> Iterable[Cells]:
    """Yield a row for all clients that meet `fault` alike."""
    alike: dict[tuple[Met, Met], list[Client]] = {}
    for client in CLIENTS:
        beside, alone = (meet(client, FAULTS_MET[fault], model, alone=each) for each in (False, True))
        alike.setdefault((beside, alone), []).append(client)
    for (beside, alone), clients in alike.items():
        sent = " + ".join(map(str, beside.sent))
        counted = "; ".join(beside.counted)
        yield [_named(clients), beside.sees, sent, counted, alone.sees, str(alone.sent[0]), alone.counted[0]]


def _named(clients: Sequence[Client]) -> str:
    """Return a name for some of the clients: kinds that are there in every form by themselves."""
    if len(clients) == len(CLIENTS):
        return "all"
    named = []
    for kind in dict.fromkeys(client.kind for client in clients):
        of = [client for client in CLIENTS if client.kind == kind]
        mine = [client for client in clients if client.kind == kind]
        forms = {client.streams for client in mine}
        whole = len(mine) * (3 - len(forms)) == len(of)
        named.append(kind if len(mine) == len(of) else f"{kind}, {'streaming' if True in forms else 'whole'}")
        assert whole or len(mine) == len(of), "threads and tasks see the same"
    return "; ".join(named)


def _together(named: Iterable[str]) -> str:
    """Return names of clients as one; a kind in both of its forms is the kind."""
    forms: dict[str, list[str]] = {}
    for name in "; ".join(named).split("; "):
        kind, _, form = name.partition(", ")
        forms.setdefault(kind, []).append(form)
    return "; ".join(f"{kind}, {of[0]}" if of[0] and len(of) == 1 else kind for kind, of in forms.items())


def _of_all(cells: Sequence[tuple[str, str]]) -> str:
    """Return what the first clients have, and after it what others have, by their names."""
    first = cells[0][1]
    others: dict[str, list[str]] = {}
    for clients, cell in cells:
        if cell != first:
            others.setdefault(cell, []).append(clients)
    differ = "; ".join(f"{_together(clients)}: {cell}" for cell, clients in others.items())
    return f"{first} ({differ})" if differ else first


def _summary(record: Mapping[str, Sequence[Cells]]) -> Iterator[Cells]:
    """Yield a row for each fault."""
    for name, table in record.items():
        sees, sent, _, alone, asked, _ = (_of_all([(row[0], row[at]) for row in table]) for at in range(1, 7))
        (outcome,) = {row[6].split()[1] for row in table}
        yield f"`{name}`", FAULTS_MET[name].says, sees, sent.replace(" + ", "+"), alone, asked, outcome


def written(record: Mapping[str, Sequence[Cells]]) -> str:
    """Return what stands in the page between the marks, of rows as the record has them."""
    return "\n".join(markdown(_HEAD, _summary(record)))


def read() -> dict[str, list[Cells]]:
    """Return the rows of the record, by fault."""
    found: dict[str, list[Cells]] = json.loads(_RECORD.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Meet all of them, and print every row."""
    asked = options(
        __doc__,
        only=("", "faults whose name has this in it"),
        write=(False, f"into {PAGE.relative_to(ROOT)} and {_RECORD.name}"),
    )
    if asked.write and asked.only:
        sys.exit("--write takes all faults")
    logging.disable()
    record: dict[str, list[Cells]] = {}
    with model_server() as model, quick_retries():
        for fault in FAULTS_MET:
            if asked.only in fault:
                for row in _rows(fault, model):
                    record.setdefault(fault, []).append(row)
                    print(fault, *row, sep=" | ", flush=True)
    if asked.write:
        _RECORD.write_text(json_of_rows(record), encoding="utf-8")
        write_between(PAGE, BEGIN, written(record))


if __name__ == "__main__":
    main()

"""Each fault of a server before each client that goes through a pool: what is seen, what was sent, what was counted.

    python -m tests.benchmarks.show_transports [--only WORD] [--write]

With `--write` the table goes into docs/measurements.md, in the place of the one that is there.
"""

import argparse
import logging
from collections.abc import Iterable, Sequence

from tests.contracts.documents import ROOT
from tests.integration.transports.fault_clients import CLIENTS, FAULTS_MET, Client, Met, meet, quick_retries
from tests.model_server import ModelServer, model_server

__all__ = ["BEGIN", "END", "PAGE"]

PAGE = ROOT / "docs" / "measurements.md"
BEGIN = "<!-- written by `python -m tests.benchmarks.show_transports --write`; do not edit -->\n"
END = "<!-- end of what was written -->\n"
_HEAD = [
    *("fault", "clients"),
    *("beside a sound one: its caller sees", "sent", "leases there and at the sound one"),
    *("alone: its caller sees", "sent", "leases"),
]


def _rows(fault: str, model: ModelServer) -> Iterable[list[str]]:
    """Yield a row for all clients that meet `fault` alike."""
    alike: dict[tuple[Met, Met], list[Client]] = {}
    for client in CLIENTS:
        beside, alone = (meet(client, FAULTS_MET[fault], model, alone=each) for each in (False, True))
        alike.setdefault((beside, alone), []).append(client)
    for (beside, alone), clients in alike.items():
        sent = " + ".join(map(str, beside.sent))
        counted = "; ".join(beside.counted)
        yield [
            f"`{fault}`",
            _named(clients),
            beside.sees,
            sent,
            counted,
            alone.sees,
            str(alone.sent[0]),
            alone.counted[0],
        ]


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


def main() -> None:
    """Meet all of them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="faults whose name has this in it")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    if chosen.write and chosen.only:
        parser.error("--write takes all faults")
    logging.disable()
    table = []
    with model_server() as model, quick_retries():
        for fault in FAULTS_MET:
            if chosen.only in fault:
                for row in _rows(fault, model):
                    table.append(row)
                    print(*row, sep=" | ", flush=True)
    if chosen.write:
        words = [f"- `{name}`: {fault.says}." for name, fault in FAULTS_MET.items()]
        lines = ["| " + " | ".join(row) + " |" for row in [_HEAD, ["---"] * len(_HEAD), *table]]
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        written = "\n".join(["", *words, "", *lines, "", ""])
        PAGE.write_text(before + BEGIN + written + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Transfer between logs: one problem to another process and back, and the shards of a run into one folder.

Decides which events belong to a problem, and what two shards must have in common. Each problem belongs to one shard, so
a merge puts logs behind each other.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from balancer.errors import BalancerError, ConfigError
from balancer.pipeline.results.log import DATABASE, Event, as_event
from balancer.pipeline.results.problem_log import EVENTS
from balancer.pipeline.results.store import Store

__all__ = ["begin_with", "merge", "part_of", "take_back"]

_OF_A_PROBLEM = (*EVENTS, "believed", "trusted")
_OF_A_WORKER = ("leased", "made_again", "ejected")
_PROBLEM = "problem "  # keys of a fingerprint that describe one package
_OF_ALL = ("claimed", "described", "bad_packages")  # alike in all shards
_TRACES = ("trace_runs", "trace_attempts", "trace_events")
_MOST_NAMED = 3


# -- one problem -----------------------------------------------------------------------------------------


def part_of(store: Store, problem: str, *, whole: bool = False) -> bytes:
    """Return the events of `store` that belong to `problem`.

    Args:
        store: of the run.
        problem: its id.
        whole: with the leases and the findings about endpoints; only for a store with this problem alone.
    """
    kinds = (*_OF_A_PROBLEM, *(_OF_A_WORKER if whole else ()))
    sql = (
        f"SELECT problem, kind, payload FROM events WHERE problem IN (?, ?) AND kind IN ({', '.join('?' * len(kinds))})"
    )
    events = store.log.rows(f"{sql} ORDER BY seq", problem, "" if whole else problem, *kinds)
    return json.dumps([store.log.version, events]).encode()


def begin_with(store: Store, part: bytes) -> None:
    """Put the events of a part into an empty store."""
    store.log.add_all(_events(store, part))


def take_back(store: Store, problem: str, part: bytes, session: str, taken_s: float) -> None:
    """Replace the events of `problem` by those of a part. Its leases count for `session` of this store.

    The part's times count from when the worker took the problem: `taken_s` seconds after the session began.
    Endpoints that lied there are recorded, and all problems that they had a part in are withdrawn.
    """
    taken: list[Event] = []
    liars: dict[str, str] = {}
    for of, kind, payload in _events(store, part):
        if kind == "leased":
            _, *what, started_s, ended_s, outcome = json.loads(payload)
            lease = session, *what, started_s + taken_s, ended_s + taken_s, outcome
            taken.append(as_event(problem, kind, *lease))
        elif kind == "ejected":
            endpoint, why, _ = json.loads(payload)
            liars[endpoint] = why
        else:  # whom a worker trusts says nothing of other problems
            taken.append((problem if kind == "trusted" else of, kind, payload))
    store.log.replace(problem, _OF_A_PROBLEM, taken)
    store.forget(problem)
    for liar in store.trust.liars():
        liars.pop(liar.endpoint, None)
    for endpoint, why in liars.items():
        store.trust.eject(endpoint, why)
    store.trust.withdraw_from_liars(problem)


def _events(store: Store, part: bytes) -> list[Event]:
    """Return the events of a part. Raises BalancerError for another version."""
    version, events = json.loads(part)
    if version != store.log.version:
        raise BalancerError("a worker returned results of another version; install the same balancer on all nodes")
    return [(problem, kind, payload) for problem, kind, payload in events]


# -- a whole run ------------------------------------------------------------------------------------------


def merge(folders: Sequence[Path], into: Path) -> Store:
    """Return the store of `into`, with the content of all `folders`. The caller closes it.

    Raises:
        ConfigError: a folder has no results, or those of another run; a problem is in two; or `into` has a run.
    """
    for number, folder in enumerate(folders):
        if not (folder / DATABASE).exists():
            raise ConfigError(f"{folder}: holds no results; name the results folders of the shares of a run")
        if folder.resolve() in (into.resolve(), *(other.resolve() for other in folders[:number])):
            raise ConfigError(f"{folder}: is named twice; name each share once, and a different folder with --results")
    with ExitStack() as stack:
        parts = [stack.enter_context(Store(folder)) for folder in folders]  # locked against other processes
        fingerprint = _fingerprint(folders, parts)
        store = Store(into)
        try:
            if store.source:
                raise ConfigError(f"{into}: already holds a run; name an empty folder with --results")
            # The last session tells whether all is done, so a stopped one comes last.
            for folder, _ in sorted(zip(folders, parts, strict=True), key=lambda each: not _is_complete(each[1])):
                _take_in(store, folder)
            store.claim(fingerprint)
            store.describe(parts[0].source)
            bad = {name: why for part in parts for name, why in part.problems.left_out_packages().items()}
            store.problems.leave_out_packages(bad)
        except BaseException:
            store.close()
            raise
    return store


def _fingerprint(folders: Sequence[Path], parts: Sequence[Store]) -> dict[str, str]:
    """Return the fingerprint of all shards together. Raises ConfigError if they are not of one run."""
    together: dict[str, str] = {}
    first: dict[str, str] | None = None
    for folder, part in zip(folders, parts, strict=True):
        if not part.source:
            raise ConfigError(f"{folder}: its run never began; run it again, or leave it out")
        found = part.fingerprint
        common = {key: value for key, value in found.items() if not key.startswith(_PROBLEM)} | part.source
        if first is None:
            first = common
        differs = sorted(key for key in common.keys() | first.keys() if common.get(key) != first.get(key))
        if differs:
            raise ConfigError(
                f"{folder}: belongs to a run with other {', '.join(differs)} than {folders[0]}; merge the shares of "
                "one run"
            )
        together |= found
    return together


def _is_complete(part: Store) -> bool:
    sessions = part.sessions()
    return bool(sessions) and sessions[-1].complete


def _take_in(store: Store, folder: Path) -> None:
    """Put the whole log of a shard behind what there is, or nothing."""
    with store.log.using() as db:
        db.execute("ATTACH DATABASE ? AS part", (str(folder / DATABASE),))
        try:
            met = "SELECT {} FROM {}.events WHERE kind = 'met'"
            number = "json_extract(payload, '$[0]')"
            twice = db.execute(
                f"{met.format('problem', 'part')} AND (problem IN ({met.format('problem', 'main')})"
                f" OR {number} IN ({met.format(number, 'main')})) ORDER BY {number}"
            ).fetchall()
            if twice:
                named = ", ".join(repr(problem) for (problem,) in twice[:_MOST_NAMED])
                more = f" and {len(twice) - _MOST_NAMED} more" if len(twice) > _MOST_NAMED else ""
                advice = "merge shares with different problems"
                raise ConfigError(f"{folder}: has {named}{more}, like an earlier folder; {advice}")
            with store.log.transaction():
                db.execute(
                    "INSERT OR IGNORE INTO main.events (problem, kind, payload) SELECT problem, kind, payload"
                    f" FROM part.events WHERE kind NOT IN {_OF_ALL} ORDER BY seq"
                )
                for table in _TRACES:
                    db.execute(f"INSERT INTO main.{table} SELECT * FROM part.{table}")
        finally:
            db.execute("DETACH DATABASE part")

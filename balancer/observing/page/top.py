"""`balancer top`: the live page of a pool, in a terminal. It reads the page's state, and works in a plain install."""

import http.client
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from math import ceil
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table

from balancer.core.metrics import EndpointStats, PoolStats, figures_of
from balancer.errors import ConfigError
from balancer.observing.page.pool_tables import Row, Tables
from balancer.reporting.terminal import cleaner, plain_table
from balancer.reporting.words import NOTHING, seconds

__all__ = ["LeaseRates", "follow", "render", "show", "state_of"]

_WITHIN_S: Final = 10.0
_EVERY_S: Final = 1.0
_OVER_S: Final = 10.0  # rates are means over so many seconds
_NEWS: Final = 5
_HOLDERS: Final = 8
_STYLES: Final = {"bad": "red", "trial": "yellow", "drained": "dim"}
_OF_POOL: Final = {name: each.word for name, each in figures_of(PoolStats).items() if each.word}
_OF_ENDPOINT: Final = {name: each.word for name, each in figures_of(EndpointStats).items() if each.word}


class LeaseRates:
    """Lease rates of endpoints over the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, int]]] = deque()

    def take(self, tables: Tables) -> None:
        """Add the tables of another look."""
        self._looks.append((tables["at_s"], {each["id"]: each["leases"] for each in tables["endpoints"]}))
        while self._looks[-1][0] - self._looks[0][0] > _OVER_S:
            self._looks.popleft()

    def rate(self, row: str) -> float | None:
        """Return the leases a second; None if not known yet."""
        (began_s, before), (at_s, now) = self._looks[0], self._looks[-1]
        if at_s <= began_s or row not in before or row not in now:
            return None
        return (now[row] - before[row]) / (at_s - began_s)


def follow(url: str) -> Iterator[Tables]:
    """Yield the state of the page each second. Raises ConfigError once it does not answer."""
    while True:
        yield state_of(url)
        time.sleep(_EVERY_S)


def state_of(url: str) -> Tables:
    """Return the current state of the page. Raises ConfigError: there is no such page."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise ConfigError(
            f"{url}: is not the URL of a page; give the one that was printed, e.g. http://127.0.0.1:8800/"
        )
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(make(parts.hostname, port, timeout=_WITHIN_S)) as connection:
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/state")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"{url}: no page answers: {why}; check that the page is served at this URL") from None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if answer.status != 200 or not isinstance(found, dict) or not {"at_s", "pool", "endpoints"} <= found.keys():
        raise ConfigError(f"{url}: found status {answer.status}, not the page of a pool; give the page's URL")
    return found


def show(url: str, console: Console, *, most: int | None = None, read: Callable[[str], Any] = follow) -> None:
    """Show the page at `url` until it is closed, or for `most` updates. Raises ConfigError."""
    past = LeaseRates()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False, transient=False) as live:
        for number, tables in enumerate(read(url), 1):
            past.take(tables)
            live.update(render(tables, past, console), refresh=True)
            if number == most:
                return


def render(tables: Tables, past: LeaseRates, console: Console) -> RenderableType:
    """Return the display, cut to the size of the window."""
    clean = cleaner(console)
    at_s, pool, endpoints = tables["at_s"], tables["pool"], tables["endpoints"]
    room = max(3, console.height - 12) if console.is_terminal else len(endpoints)
    table = _endpoints(at_s, endpoints[:room], past, console)
    return Group(
        *map(clean, _heading(at_s, tables, pool, endpoints)),
        table,
        *map(clean, _below(at_s, tables, max(0, len(endpoints) - room))),
    )


def _heading(at_s: float, tables: Tables, pool: Row, endpoints: Sequence[Row]) -> Iterator[str]:
    used, force = (sum(each[name] for each in endpoints) for name in ("in_flight", "limit"))
    grace = tables.get("grace", {})
    waits = f"waits p50 {seconds(pool.get('wait_p50_s', 0.0))} p99 {seconds(pool.get('wait_p99_s', 0.0))}"
    waiting = grace.get("waiting", pool.get("waiting", 0))
    yield f"{pool.get('strategy', '')}  {used} of {force} slots in use  {waiting} waiting  {waits}"
    yield ", ".join(f"{pool.get(key, 0)} {word}" for key, word in _OF_POOL.items())
    if run := tables.get("run"):
        done = f"{run['done']}/{run['done'] + run['ahead']} runs"
        doing = [run["doing"]] if run.get("doing") else []
        yield ", ".join([run["title"], done, seconds(run["spent_s"]), run["left"], *doing])
        at_work = [each for each in tables.get("problems", ()) if not each["over"]]
        for each in at_work[:4]:
            yield f"{each['id']} round {each['round']}, {each['survivors']} of {each['wrong']} survive"
    if grace:
        left = seconds(max(1.0, ceil(grace["grants_at_s"] - at_s)))
        yield f"no leases are granted for {left}, or until all members of an earlier server have reported"


def _below(at_s: float, tables: Tables, left_out: int) -> Iterator[str]:
    if left_out:
        yield f"and {left_out} more"
    if holders := tables.get("holders"):
        told = [f"{each['id']} {each['slots']}" for each in holders[:_HOLDERS]]
        yield f"who holds slots: {', '.join(told)}{', ...' if len(holders) > _HOLDERS else ''}"
    for each in tables.get("news", ())[-_NEWS:]:
        where = f"{each['endpoint']}: " if each["endpoint"] else ""
        yield f"{seconds(at_s - each['at_s'])} ago  {where}{each['said']}"


def _endpoints(at_s: float, endpoints: Sequence[Row], past: LeaseRates, console: Console) -> RenderableType:
    """Return the table of endpoints. In a narrow window: short names, then no rates, at last no counts."""
    room = console.options.update(max_width=1000)
    for name, columns in (("name", ["leases/s", *_OF_ENDPOINT]), ("short", ["leases/s", *_OF_ENDPOINT]),
                          ("short", [*_OF_ENDPOINT]), ("short", [])):  # fmt: skip
        table = _table_of(at_s, endpoints, name, columns, past, console)
        if Measurement.get(console, room, table).maximum <= console.width:
            break
    return table


def _table_of(
    at_s: float, endpoints: Sequence[Row], name: str, columns: Sequence[str], past: LeaseRates, console: Console
) -> Table:
    clean = cleaner(console)
    table = plain_table("")
    table.add_column("endpoint", overflow="fold")
    for head in ("health", "slots"):
        table.add_column(head, no_wrap=True)
    for column in columns:
        table.add_column(_OF_ENDPOINT.get(column, column), justify="right", no_wrap=True)
    for each in endpoints:
        rate = past.rate(each["id"])
        figures = {"leases/s": NOTHING if rate is None else f"{rate:.1f}", **each}
        table.add_row(
            clean(each[name].removeprefix("http://")),
            clean(f"{each['word']}{_back(each, at_s)}", style=_STYLES.get(each["mark"], "")),
            clean(f"{each['in_flight']}/{each['limit']}"),
            *(clean(str(figures[column])) for column in columns),
        )
    return table


def _back(endpoint: Mapping[str, Any], at_s: float) -> str:
    """Return when an endpoint out of service is tried again; nothing if that is not known."""
    back_at_s = endpoint["back_at_s"]
    return "" if back_at_s is None else f", {seconds(max(1.0, ceil(back_at_s - at_s)))}"

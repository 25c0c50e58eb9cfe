"""`balancer top`: the live page of a pool, in a terminal. It reads the page's events, and works in a plain install."""

import http.client
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from balancer.core.metrics import EndpointStats, PoolStats, figures_of
from balancer.errors import ConfigError
from balancer.observing.page.pool_tables import Tables, apply
from balancer.reporting.terminal import cleaner, plain_table
from balancer.reporting.words import NOTHING, seconds

__all__ = ["LeaseRates", "follow", "render", "show", "state_of"]

_SILENCE_S: Final = 10.0  # there is an event every second
_OVER_S: Final = 10.0  # rates are means over so many seconds
_NEWS: Final = 5
_SPARED: Final = "would be ejected"
_STYLES: Final = {
    _SPARED: "yellow",
    "ejected": "red",
    "spent": "red",
    "half_open": "yellow",
    "resting": "yellow",
    "draining": "dim",
}
_OF_POOL: Final = {name: each.word for name, each in figures_of(PoolStats).items() if each.word}
_OF_ENDPOINT: Final = {name: each.word for name, each in figures_of(EndpointStats).items() if each.word}
_WORDS: Final = {"half_open": "on trial", "slow_start": "slow start", "": "not watched"}


class LeaseRates:
    """Lease rates of endpoints over the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, int]]] = deque()

    def take(self, at_s: float, tables: Tables) -> None:
        """Add the tables of another look."""
        leases = {row: values["leases"] for row, values in tables.get("endpoints", {}).items()}
        self._looks.append((at_s, leases))
        while at_s - self._looks[0][0] > _OVER_S:
            self._looks.popleft()

    def rate(self, row: str) -> float | None:
        """Return the leases a second; None if not known yet."""
        (began_s, before), (at_s, now) = self._looks[0], self._looks[-1]
        if at_s <= began_s or row not in before or row not in now:
            return None
        return (now[row] - before[row]) / (at_s - began_s)


def follow(url: str) -> Iterator[tuple[float, Tables]]:
    """Yield the pool's time and all tables at each update, until the page is closed.

    Raises:
        ConfigError: there is no such page.
    """
    connection, answer = _asked(url, "events", "text/event-stream")
    tables: Tables = {}
    try:
        while line := answer.readline():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["all"]:
                    tables.clear()
                apply(tables, event["tables"])
                yield event["at_s"], tables
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise ConfigError(f"{url}: the page sends nothing more: {error}; check that the pool still runs") from None
    finally:
        connection.close()


def state_of(url: str) -> dict[str, Any]:
    """Return the current state of the page, as JSON data. Raises ConfigError, as `follow` does."""
    connection, answer = _asked(url, "state", "application/json")
    try:
        found: dict[str, Any] = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise ConfigError(f"{url}: the answer of the page ended early: {error}; try again") from None
    finally:
        connection.close()
    return found


def show(url: str, console: Console, *, most: int | None = None, read: Callable[[str], Any] = follow) -> None:
    """Show the page at `url` until it is closed, or for `most` updates. Raises ConfigError."""
    past = LeaseRates()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False, transient=False) as live:
        for number, (at_s, tables) in enumerate(read(url), 1):
            past.take(at_s, tables)
            live.update(render(at_s, tables, past, console), refresh=True)
            if number == most:
                return


def render(at_s: float, tables: Tables, past: LeaseRates, console: Console) -> RenderableType:
    """Return the display, cut to the size of the window."""
    clean = cleaner(console)
    pool = tables.get("pool", {}).get("", {})
    endpoints = tables.get("endpoints", {})
    room = max(3, console.height - 12) if console.is_terminal else len(endpoints)
    used, force = (sum(each[name] for each in endpoints.values()) for name in ("in_flight", "limit"))
    grace = tables.get("grace", {}).get("", {})
    waiting = grace.get("waiting", pool.get("waiting", 0))
    waits = f"waits p50 {seconds(pool.get('wait_p50_s', 0.0))} p99 {seconds(pool.get('wait_p99_s', 0.0))}"
    now = (str(pool.get("strategy", "")), f"{used} of {force} slots in use", f"{waiting} waiting", waits)
    counts = [f"{pool.get(key, 0)} {word}" for key, word in _OF_POOL.items()]
    parts: list[RenderableType] = [clean("  ".join(now)), clean(", ".join(counts)), *_run(tables, clean)]
    if grace:
        left = seconds(max(1.0, ceil(grace["grants_at_s"] - at_s)))
        parts.append(
            clean(f"no leases are granted for {left}, or until all members of an earlier server have reported")
        )
    parts.append(_endpoints(at_s, dict(list(endpoints.items())[:room]), past, console))
    if len(endpoints) > room:
        parts.append(clean(f"and {len(endpoints) - room} more"))
    holders = tables.get("holders", {})
    if holders:
        told = [f"{name} {each['slots']}" for name, each in list(holders.items())[:8]]
        parts.append(clean(f"who holds slots: {', '.join(told)}{', ...' if len(holders) > 8 else ''}"))
    for each in list(tables.get("news", {}).values())[-_NEWS:]:
        where = f"{each['endpoint']}: " if each["endpoint"] else ""
        parts.append(clean(f"{seconds(at_s - each['at_s'])} ago  {where}{each['said']}"))
    return Group(*parts)


def _endpoints(
    at_s: float, endpoints: Mapping[str, Mapping[str, Any]], past: LeaseRates, console: Console
) -> RenderableType:
    """Return the table of endpoints. In a narrow window: short names, then no rates, at last no counts."""
    room = console.options.update(max_width=1000)
    for name, numbers in (("name", 2), ("short", 2), ("short", 1), ("short", 0)):
        table = _table_of(at_s, endpoints, name, past, console, rates=numbers > 1, counts=numbers > 0)
        if Measurement.get(console, room, table).maximum <= console.width:
            break
    return table


def _table_of(
    at_s: float,
    endpoints: Mapping[str, Mapping[str, Any]],
    name: str,
    past: LeaseRates,
    console: Console,
    *,
    rates: bool,
    counts: bool,
) -> Table:
    clean = cleaner(console)
    counted = _OF_ENDPOINT if counts else {}
    table = plain_table("")
    table.add_column("endpoint", overflow="fold")
    for head in ("health", "slots"):
        table.add_column(head, no_wrap=True)
    for head in [*["leases/s"] * rates, *counted.values()]:
        table.add_column(head, justify="right", no_wrap=True)
    for row, each in endpoints.items():
        word = each["state"] if each["state"] != "active" else _SPARED if each.get("spared") else each["health"]
        rate = past.rate(row)
        table.add_row(
            clean(each[name].removeprefix("http://")),
            clean(f"{_WORDS.get(word, word)}{_back(each, at_s)}", style=_STYLES.get(word, "")),
            clean(f"{each['in_flight']}/{each['limit']}"),
            *[clean(NOTHING if rate is None else f"{rate:.1f}")] * rates,
            *(clean(str(each[key])) for key in counted),
        )
    return table


def _run(tables: Tables, clean: Callable[..., Text]) -> list[RenderableType]:
    run = tables.get("run", {}).get("")
    if run is None:
        return []
    said = f"{run['title']}, {run['done']}/{run['done'] + run['ahead']} runs, {seconds(run['spent_s'])}, {run['left']}"
    if run.get("doing"):
        said += f", {run['doing']}"
    at_work = [
        f"{name} round {each['round']}, {each['survivors']} of {each['wrong']} survive"
        for name, each in tables.get("problems", {}).items()
        if not each["over"]
    ]
    return [clean(said), *map(clean, at_work[:4])]


def _asked(url: str, path: str, kind: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
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
    connection = make(parts.hostname, port, timeout=_SILENCE_S)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/{path}")
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{url}: no page answers: {why}; check that the page is served at this URL") from None
    if answer.status != 200 or not (answer.getheader("Content-Type") or "").startswith(kind):
        connection.close()
        raise ConfigError(f"{url}: found status {answer.status}, not the page of a pool; give the page's URL")
    return connection, answer


def _back(endpoint: Mapping[str, Any], at_s: float) -> str:
    """Return when an endpoint out of service is tried again; nothing if that is not known."""
    back_at_s = endpoint["back_at_s"]
    return "" if back_at_s is None else f", {seconds(max(1.0, ceil(back_at_s - at_s)))}"

"""`balancer top`: the live page of a pool, in a terminal. It reads the page's events, and works in a plain install."""

import http.client
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
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
from balancer.reporting.words import NOTHING, shorten

__all__ = ["LeaseRates", "apart", "follow", "render", "show", "state_of"]

_SILENCE_S: Final = 10.0  # there is an event every second
_OVER_S: Final = 10.0  # rates are means over so many seconds
_LONGEST: Final = 48  # characters of a name
_SHORTEST: Final = 12
_GAP: Final = "..."
_NEWS: Final = 5
_BAR: Final = 10
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
                if event.get("all"):
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
    waits = f"waits p50 {_span(pool.get('wait_p50_s'))} p99 {_span(pool.get('wait_p99_s'))}"
    now = (str(pool.get("strategy", "")), f"{used} of {force} slots in use", f"{waiting} waiting", waits)
    counts = [f"{pool.get(key, 0)} {word}" for key, word in _OF_POOL.items()]
    parts: list[RenderableType] = [clean("  ".join(now)), clean(", ".join(counts)), *_run(tables, clean)]
    if grace:
        left = _span(max(1.0, ceil(grace["grants_at_s"] - at_s)))
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
        parts.append(clean(f"{_span(at_s - each['at_s'])} ago  {where}{each['said']}"))
    return Group(*parts)


def _endpoints(
    at_s: float, endpoints: Mapping[str, Mapping[str, Any]], past: LeaseRates, console: Console
) -> RenderableType:
    """Return the table of endpoints. In a narrow window it has no bars, no rates, and at last only a part of names."""
    names = apart([each["name"] for each in endpoints.values()], _LONGEST)
    for bars, rates in ((True, True), (False, True), (False, False)):
        table = _table_of(at_s, endpoints, names, past, console, bars=bars, rates=rates)
        width = Measurement.get(console, console.options.update(max_width=1000), table).maximum
        if width <= console.width:
            return table
    room = console.width - (width - max(map(len, names), default=0))
    names = apart(names, max(_SHORTEST, room))
    return _table_of(at_s, endpoints, names, past, console, bars=False, rates=False)


def _table_of(
    at_s: float,
    endpoints: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    past: LeaseRates,
    console: Console,
    *,
    bars: bool,
    rates: bool,
) -> Table:
    clean = cleaner(console)
    table = plain_table("")
    table.add_column("endpoint", no_wrap=True)
    for name in ("health", "slots"):
        table.add_column(name)
    for name in [*["leases/s"] * rates, *_OF_ENDPOINT.values()]:
        table.add_column(name, justify="right")
    for (row, each), name in zip(endpoints.items(), names, strict=True):
        word = each["state"] if each["state"] != "active" else _SPARED if each.get("spared") else each["health"]
        rate = past.rate(row)
        counts = [str(each[key]) for key in _OF_ENDPOINT]
        table.add_row(
            clean(name),
            clean(f"{_WORDS.get(word, word)}{_back(each, at_s)}", style=_STYLES.get(word, "")),
            clean(f"{_bar(each['in_flight'], each['limit'])} " * bars + f"{each['in_flight']}/{each['limit']}"),
            *[clean(NOTHING if rate is None else f"{rate:.1f}")] * rates,
            *map(clean, counts),
        )
    return table


def apart(names: Sequence[str], room: int) -> list[str]:
    """Return the names with at most `room` characters each, without what they have in common, as far as needed.

    A scheme that all have is never shown.
    """
    schemes = {name.partition("://")[0] if "://" in name else "" for name in names}
    if len(schemes) == 1 and (scheme := schemes.pop()):
        names = [name.removeprefix(f"{scheme}://") for name in names]
    longest = max(map(len, names), default=0)
    if longest <= room:
        return list(names)
    before = _shared(names) if len(names) > 1 else longest
    cut = longest - (room - len(_GAP))
    if cut <= before:
        return [_GAP + name[cut:] for name in names]
    after = _shared(name[before:][::-1] for name in names)
    spare = room - (longest - before - after) - 2 * len(_GAP)
    before = max(0, before - max(0, spare))  # there is room for the end of what they have in common
    front, back = _GAP * (before > len(_GAP)), _GAP * (after > len(_GAP))
    kept = [name[before if front else 0 : len(name) - after if back else None] for name in names]
    return [f"{front}{shorten(name, room - len(front) - len(back), gap=_GAP)}{back}" for name in kept]


def _shared(names: Iterable[str]) -> int:
    """Return how many characters the names have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda letters: len({*letters}) == 1, zip(*names, strict=False)))


def _run(tables: Tables, clean: Callable[..., Text]) -> list[RenderableType]:
    run = tables.get("run", {}).get("")
    if run is None:
        return []
    said = f"{run['title']}, {run['done']}/{run['done'] + run['ahead']} runs, {_span(run['spent_s'])}, {run['left']}"
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


def _bar(used: int, limit: int) -> str:
    full = round(_BAR * min(1.0, used / limit)) if limit else 0
    return "#" * full + "." * (_BAR - full)


def _back(endpoint: Mapping[str, Any], at_s: float) -> str:
    """Return when an endpoint out of service is tried again; nothing if that is not known."""
    back_at_s = endpoint["back_at_s"]
    return "" if back_at_s is None else f", {_span(max(1.0, ceil(back_at_s - at_s)))}"


def _span(value_s: float | None) -> str:
    """Return a time in at most seven characters."""
    if value_s is None:
        return NOTHING
    if value_s < 1:
        return f"{value_s * 1000:.3g} ms"
    return f"{value_s:.3g} s" if value_s < 100 else f"{value_s / 60:.0f} min"

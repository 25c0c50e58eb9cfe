"""Small random inputs without end: drawn, changed from known ones, and changed again from those that were valid.

Decides how often each way is used: the more of its inputs are valid, the more often. So where relations are not known,
and most of what is drawn is refused, the search goes on from what was accepted, a change at a time.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.points import PointPattern
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles, telling_styles
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.search.enlarge import larger_relatives
from balancer.pipeline.generators.search.list_changes import list_changes
from balancer.pipeline.generators.search.sources import MadeInput
from balancer.pipeline.generators.search.steps import read_with
from balancer.pipeline.generators.write.build import build
from balancer.pipeline.generators.write.changes import changes
from balancer.pipeline.generators.write.commands import command_changes, has_commands
from balancer.pipeline.generators.write.marked import is_marked, marked_changes
from balancer.pipeline.generators.write.text import text_changes

__all__ = ["SmallInputs"]

_AT_ONCE = 250
_MOST_BYTES = 2**18  # of a batch
_LARGE = 4096  # bytes of an input that is not changed any more
_KEPT = 300  # valid inputs that are changed further
_DRAWS = 20  # times as many as are wanted, before a batch is left short: the rest was there already
_LEAST_SHARE = 0.05  # of a way whose inputs are all refused
_GROWN = (500, 500, 2000, 8000)  # bytes that a relative of a find may have
_LATEST = 8  # finds that are grown at a time

_AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN, Where.TINY))
_ANYHOW = (How.RANDOM, How.RANDOM, How.FEW, How.SORTED, How.REVERSED, How.RAMP, How.EQUAL, How.ODD_ONE)


class SmallInputs:
    """Small inputs of one problem.

    Args:
        found: what is known of its inputs; None: nothing but the inputs themselves.
        known: all inputs that were used already.
        near: of them, those that reject some wrong submission: what survives may fail close by.
        rng: for everything.
    """

    def __init__(
        self, found: Knowledge | None, known: Sequence[bytes], near: Sequence[bytes], rng: random.Random
    ) -> None:
        self._found = found
        self._rng = rng
        self._seen: set[bytes] = {_digest(data) for data in known}
        self._bases: dict[str, list[bytes]] = {
            "near": [data for data in near if len(data) <= _LARGE],
            "changed": [data for data in known if len(data) <= _LARGE],
        }
        if found is not None:
            self._bases["kept"] = self._bases["changed"]
        if found is not None and has_commands(found):
            self._bases["commands"] = self._bases["changed"]
        if is_marked(self._bases["changed"]):
            self._bases["marked"] = list(self._bases["changed"])
        drawn = {} if found is None else {kind: _styled(found, styles, rng) for kind, styles in _drawn(rng).items()}
        self._drawn: dict[str, Iterator[tuple[str, bytes]]] = drawn
        self._grown: list[Iterator[tuple[str, bytes]]] = []
        # How many inputs of each way were valid, and how many there were; to begin with, all are as good.
        self._yield = {kind: [4.0, 4.0] for kind in (*self._bases, *drawn)}

    def batch(self) -> list[MadeInput]:
        """Return the next inputs."""
        streams = {**self._drawn, **{kind: self._changed(kind, bases) for kind, bases in self._bases.items() if bases}}
        made: list[MadeInput] = []
        size = 0
        for _ in range(_DRAWS * _AT_ONCE):
            if not streams or len(made) == _AT_ONCE or size > _MOST_BYTES:
                break
            kinds = list(streams)
            (kind,) = self._rng.choices(kinds, [self._share(kind) for kind in kinds])
            detail, data = next(streams[kind], ("", b""))
            if not data:
                del streams[kind]
                continue
            digest = _digest(data)
            if digest not in self._seen:
                self._seen.add(digest)
                made.append(MadeInput(kind, detail, data))
                size += len(data)
        return made

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Prefer the ways whose inputs are valid, and change valid inputs further."""
        for each, says in zip(made, valid, strict=True):
            if says is None:
                continue
            counted = self._yield[each.kind]
            counted[0] += says
            counted[1] += 1
            if says and len(each.data) <= _LARGE:
                self._keep(self._bases["changed"], each.data)

    def found(self, data: bytes) -> None:
        """Grow an input on which submissions differ: larger ones like it may tell others apart."""
        if self._found is None or len(data) > _LARGE:
            return
        self._grown += [larger_relatives(self._found, data, self._rng, most) for most in _GROWN]
        del self._grown[: -_LATEST * len(_GROWN)]
        self._yield.setdefault("grown", [4.0, 4.0])
        self._drawn["grown"] = self._relatives()

    def _relatives(self) -> Iterator[tuple[str, bytes]]:
        """Yield relatives of the latest finds in turn."""
        while self._grown:
            for each in list(self._grown):
                made = next(each, None)
                if made is not None:
                    yield made
                elif each in self._grown:
                    self._grown.remove(each)

    def _keep(self, bases: list[bytes], data: bytes) -> None:
        if len(bases) < _KEPT:
            bases.append(data)
        else:
            bases[self._rng.randrange(_KEPT)] = data

    def _share(self, kind: str) -> float:
        valid, tried = self._yield[kind]
        return max(valid / tried, _LEAST_SHARE)

    def _changed(self, kind: str, bases: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        if kind == "marked":
            yield from marked_changes(bases, self._rng, sure=True)
            return
        if self._found is None:
            yield from text_changes(bases, self._rng)
            return
        chosen = self._rng.sample(bases, min(len(bases), 40))
        instances = tuple(instance for data in chosen if (instance := read_with(self._found, data)) is not None)
        known = replace(self._found, instances=instances)
        if kind == "kept":
            told = _kept(self._found, instances, self._rng)
        else:
            told = command_changes(known, self._rng) if kind == "commands" else changes(known, self._rng)
        for detail, given in told:
            try:
                yield detail, build(self._found, given, Fill(self._found, _AS_SEEN, self._rng))
            except TooLarge:
                continue


def _kept(
    found: Knowledge, instances: Sequence[Instance], rng: random.Random
) -> Iterator[tuple[str, Mapping[Slot, Sequence[str]]]]:
    """Yield changes that keep sums, products or values, each of an instance of its own."""
    streams = [list_changes(found, instance, rng) for instance in instances]
    while streams:
        stream = rng.choice(streams)
        made = next(stream, None)
        if made is None:
            streams.remove(stream)
        else:
            yield made


def _drawn(rng: random.Random) -> dict[str, Iterator[Style]]:
    return {
        "tiny": _tiny(rng),
        "small": small_styles(rng),
        "telling": _again(telling_styles),
        "medium": _medium(rng),
        "cases": _cases(rng),
    }


def _tiny(rng: random.Random) -> Iterator[Style]:
    while True:
        most = rng.choice((2, 3, 4, 5))
        shape = rng.choice((None, *Shape))
        figure = rng.choice((None, None, *PointPattern))
        where, how = (Where.TINY, Where.LOW), (How.RANDOM, How.FEW)
        yield Style(f"tiny {most}", Size(1, most), where, how, shape, Size(1, 2), figure=figure)


def _medium(rng: random.Random) -> Iterator[Style]:
    while True:
        most = rng.choice((15, 30, 60, 120))
        where = rng.choice(
            ((Where.TINY,), (Where.FULL,), (Where.SEEN, Where.LOG), (Where.FULL, Where.EDGE, Where.HIGH))
        )
        shape, figure = rng.choice((None, *Shape)), rng.choice((None, None, *PointPattern))
        yield Style(f"up to {most}", Size(most // 3, most), where, _ANYHOW, shape, Size(1, 3), figure=figure)


def _cases(rng: random.Random) -> Iterator[Style]:
    """Yield many test cases in one input, where the format has them: nothing is cheaper."""
    while True:
        most = rng.choice((3, 4, 6, 8))
        blocks = rng.choice((10, 50, 200, 1000))
        where = rng.choice(((Where.TINY,), (Where.TINY, Where.LOW), (Where.FULL, Where.EDGE)))
        yield Style(f"{blocks} cases up to {most}", Size(1, most), where, _ANYHOW, None, Size(blocks, blocks))


def _again(styles: Callable[[], Iterator[Style]]) -> Iterator[Style]:
    while True:
        yield from styles()


def _styled(found: Knowledge, styles: Iterator[Style], rng: random.Random) -> Iterator[tuple[str, bytes]]:
    for style in styles:
        fill = Fill(found, style, rng)
        try:
            data = build(found, {}, fill)
        except TooLarge:
            continue
        sizes = "".join(f" {found.names[number]}={value}" for number, value in islice(sorted(fill.sizes.items()), 6))
        yield style.name + sizes, data


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()

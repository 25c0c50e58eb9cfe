"""Small random inputs without end: drawn, changed from known ones, and changed again from those that were valid.

Decides how often each way is used: the more of its inputs are valid, the more often. So where relations are not known,
and most of what is drawn is refused, the search goes on from what was accepted, a change at a time.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles, telling_styles
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes
from balancer.pipeline.generators.write.commands import command_changes, has_commands
from balancer.pipeline.generators.write.text import text_changes

__all__ = ["SmallInputs"]

_AT_ONCE = 250
_MOST_BYTES = 2**18  # of a batch
_LARGE = 4096  # bytes of an input that is not changed any more
_KEPT = 300  # valid inputs that are changed further
_DRAWS = 20  # times as many as are wanted, before a batch is left short: the rest was there already
_LEAST_SHARE = 0.05  # of a way whose inputs are all refused

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
        if found is not None and has_commands(found):
            self._bases["commands"] = self._bases["changed"]
        drawn = (
            {} if found is None else {kind: build_styled(found, styles, rng) for kind, styles in _drawn(rng).items()}
        )
        self._drawn: dict[str, Iterator[tuple[str, bytes]]] = drawn
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

    def _keep(self, bases: list[bytes], data: bytes) -> None:
        if len(bases) < _KEPT:
            bases.append(data)
        else:
            bases[self._rng.randrange(_KEPT)] = data

    def _share(self, kind: str) -> float:
        valid, tried = self._yield[kind]
        return max(valid / tried, _LEAST_SHARE)

    def _changed(self, kind: str, bases: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        if self._found is None:
            yield from text_changes(bases, self._rng)
            return
        chosen = self._rng.sample(bases, min(len(bases), 40))
        instances = tuple(instance for data in chosen if (instance := self._found.read(data)) is not None)
        known = replace(self._found, instances=instances)
        told = command_changes(known, self._rng) if kind == "commands" else changes(known, self._rng)
        yield from build_changed(self._found, told, self._rng)


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
        where, how = (Where.TINY, Where.LOW), (How.RANDOM, How.FEW)
        yield Style(f"tiny {most}", Size(1, most), where, how, shape, Size(1, 2))


def _medium(rng: random.Random) -> Iterator[Style]:
    while True:
        most = rng.choice((15, 30, 60, 120))
        where = rng.choice(
            ((Where.TINY,), (Where.FULL,), (Where.SEEN, Where.LOG), (Where.FULL, Where.EDGE, Where.HIGH))
        )
        shape = rng.choice((None, *Shape))
        yield Style(f"up to {most}", Size(most // 3, most), where, _ANYHOW, shape, Size(1, 3))


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


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()

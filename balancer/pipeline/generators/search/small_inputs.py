"""Small random inputs without end.

They are drawn, changed from known ones, or changed from valid ones. The more inputs of a way are valid, the more often
it is used. So if relations are not known, and most drawn inputs are refused, the search continues from accepted ones,
one change at a time. Some of the refused ones are mended. Inputs with a rare answer are changed as often as others.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.styles import Size, Style, small_styles, telling_styles
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import whole_number
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.pipeline.generators.search.input_mender import small_text
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes, set_constants, text_changes
from balancer.pipeline.generators.write.commands import command_changes, has_commands
from balancer.pipeline.generators.write.word_lists import has_word_lists, word_changes

__all__ = ["SmallInputs", "answer_kind"]

_DRAWN_AT_ONCE = 250
_MOST_BYTES = 2**18  # bytes of a batch
_LARGE = 4096  # larger inputs are not changed further
_KEPT = 300  # valid inputs for further changes
_CHANGED_AT_ONCE = 40  # of these, chosen for each batch
_MOST_SIZE = 2000  # of a list whose size is a constant of a submission
_ALIKE = 20  # of these with answers of one kind
_DRAWS = 20  # draws for each wanted input, before a batch is left short; the others were repeated
_TOKENS, _BEGINNING, _SMALL_NUMBER = 1000, 8, 8  # that tell the kind of an answer
_MENDED = 60  # mended inputs of a batch
_MENDED_FROM = 0.2  # share of refused inputs from which some are mended
_IN_VAIN = 2  # batches of which nothing is mended, before that is given up
_LEAST_SHARE = 0.05  # least share of a way, even if all its inputs are refused

_ANYHOW = (How.RANDOM, How.RANDOM, How.FEW, How.SORTED, How.REVERSED, How.RAMP, How.EQUAL, How.ODD_ONE)


class SmallInputs:
    """Small inputs of one problem.

    Args:
        found: what is known of its inputs; None: only the inputs themselves.
        known: all inputs used so far.
        near: those of them that reject a wrong submission, because survivors may fail on similar ones.
        rng: for all random choices.
        mend: makes at most so many valid inputs of refused ones.
        constants: of the submissions.
        more: further ways: descriptions and inputs of each.
    """

    def __init__(
        self,
        found: Knowledge | None,
        known: Sequence[bytes],
        near: Sequence[bytes],
        rng: random.Random,
        mend: Callable[[Sequence[str], int], Sequence[MadeInput]] = lambda refused, wanted: (),
        constants: Sequence[int | str] = (),
        more: Mapping[str, Iterator[tuple[str, bytes]]] | None = None,
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
        if found is not None and has_word_lists(found):
            self._bases["words"] = self._bases["changed"]
        if found is not None and constants:
            self._bases["constants"] = self._bases["changed"]
        self._constants = constants
        drawn = (
            {} if found is None else {kind: build_styled(found, styles, rng) for kind, styles in _drawn(rng).items()}
        )
        self._drawn: dict[str, Iterator[tuple[str, bytes]]] = {**drawn, **(more or {})}
        # Valid inputs and all inputs of each way; at the beginning all ways are equal.
        self._yield = {kind: [4.0, 4.0] for kind in (*self._bases, *self._drawn, "answers")}
        self._by_answer: dict[AnswerKind, deque[bytes]] = {}
        self._mend = mend
        self._refused: list[str] = []  # of the last batch, if many were
        self._in_vain = 0  # batches in a row of which nothing could be mended

    def batch(self) -> list[MadeInput]:
        """Return the next inputs."""
        streams = {**self._drawn, **{kind: self._changed(kind, bases) for kind, bases in self._bases.items() if bases}}
        made = self._mended()
        size = sum(len(each.data) for each in made)
        for _ in range(_DRAWS * _DRAWN_AT_ONCE):
            if not streams or len(made) == _DRAWN_AT_ONCE or size > _MOST_BYTES:
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
        """Prefer the ways with valid inputs, change valid inputs further, and keep the refused ones to be mended."""
        refused = [
            text for each, says in zip(made, valid, strict=True) if says is False if (text := small_text(each.data))
        ]
        self._refused = [*filter(None, refused)] if len(refused) > _MENDED_FROM * len(made) else []
        for each, says in zip(made, valid, strict=True):
            if says is None:
                continue
            if each.kind in self._yield:
                counted = self._yield[each.kind]
                counted[0] += says
                counted[1] += 1
            if says and len(each.data) <= _LARGE:
                self._keep(self._bases["changed"], each.data)

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Keep inputs by the kind of their answer, for further changes: rare kinds are changed as often as others."""
        for made, answer in answers:
            if len(made.data) <= _LARGE:
                self._by_answer.setdefault(answer_kind(answer), deque(maxlen=_ALIKE)).append(made.data)
        if len(self._by_answer) > 1:
            kinds = self._rng.choices(list(self._by_answer.values()), k=_CHANGED_AT_ONCE)
            self._bases["answers"] = [self._rng.choice(kind) for kind in kinds]

    def _mended(self) -> list[MadeInput]:
        """Return new inputs made of the refused ones of the last batch."""
        if not self._refused or self._in_vain >= _IN_VAIN:
            return []
        self._rng.shuffle(self._refused)
        found = [each for each in self._mend(self._refused, _MENDED) if _digest(each.data) not in self._seen]
        self._seen.update(_digest(each.data) for each in found)
        self._in_vain = 0 if found else self._in_vain + 1
        return found

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
        chosen = self._rng.sample(bases, min(len(bases), _CHANGED_AT_ONCE))
        instances = tuple(instance for data in chosen if (instance := self._found.read(data)) is not None)
        known = replace(self._found, instances=instances)
        if kind == "constants":
            mixed = self._rng.sample(self._constants, len(self._constants))
            told = set_constants(known, mixed, self._rng, _MOST_SIZE)
        elif kind == "words":
            told = word_changes(known, self._constants, self._rng)
        else:
            told = command_changes(known, self._rng) if kind == "commands" else changes(known, self._rng)
        yield from build_changed(self._found, told, self._rng)


AnswerKind = tuple[int, tuple[int, str], tuple[int, str]]


def answer_kind(answer: bytes) -> AnswerKind:
    """Return what two answers of one kind have in common: about how many tokens, and the least and greatest token.

    Of a large number only the sign and the number of digits count, of a word the beginning.
    """
    tokens = answer.decode("utf-8", "replace").split(None, _TOKENS)[:_TOKENS]
    kinds = [_token_kind(token) for token in tokens] or [(0, "")]
    return len(tokens).bit_length(), min(kinds), max(kinds)


def _token_kind(token: str) -> tuple[int, str]:
    value = whole_number(token)
    if value is None:
        return 0, token[:_BEGINNING]
    if abs(value) <= _SMALL_NUMBER:
        return value, ""
    return (_SMALL_NUMBER + len(token)) * (1 if value > 0 else -1), "digits"


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
    """Yield styles with many test cases in one input, which cost least."""
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

"""Change inputs that are lists up to a mark: lines until "0 0" or "END", values of a line until 0, several such lists.

Decides how such an input is read, from the known inputs alone, and what is changed: which things stand in a list, in
which order, how often, how many lists. It is for what a template does not have: lists within lists, and a mark
that only one known input shows. Where several ways to read all inputs fit, each of them is tried. Pure.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.knowledge import END_MARKS
from balancer.pipeline.generators.learn.template import tokenize, whole_number

__all__ = ["is_marked", "marked_changes"]

Line = list[str]
Item = list[Line]  # a line, a line with those that it counts, or a value of a line
Cut = Callable[[Sequence[Line]], list[Item] | None]

_COUNTS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 30, 100)
_FEW_LARGE = 2000
_NUMBERS = (1, 2, 3, 10, 100, 10**5, 10**9)


@dataclass(frozen=True, slots=True)
class _Format:
    """How an input is cut up.

    Args:
        mark: what ends each list.
        inline: it stands at the end of a line.
        header: the first line counts the lists.
        closed: the mark stands once more, alone, at the end.
        cut: makes things of the lines of a list.
        grouped: a thing begins with a number that counts what comes with it.
    """

    mark: tuple[str, ...]
    inline: bool
    header: bool
    closed: bool
    cut: Cut
    grouped: bool

    def read(self, lines: Sequence[Line]) -> list[list[Item]] | None:
        """Return the lists of an input; None if it is none of this format."""
        mark = list(self.mark)
        if self.closed:
            if lines[-1:] != [mark]:
                return None
            lines = lines[:-1]
        body = lines[1:] if self.header else lines
        found: list[list[Item] | None] = []
        if self.inline:
            if any(line[-1:] != mark or self.mark[0] in line[:-1] for line in body):
                return None
            found = [[[[token]] for token in line[:-1]] for line in body]
        else:
            if body[-1:] != [mark]:
                return None
            part: list[Line] = []
            for line in body:
                if line == mark:
                    found.append(self.cut(part))
                    part = []
                else:
                    part.append(line)
        lists = [each for each in found if each is not None]
        counted = not self.header or (bool(lines) and lines[0] == [str(len(lists))])
        return lists if lists and len(lists) == len(found) and counted else None

    def written(self, lists: Sequence[Sequence[Item]]) -> bytes:
        lines = [[str(len(lists))]] if self.header else []
        for items in lists:
            inside = [line for item in items for line in item]
            if self.inline:
                lines.append([*(token for line in inside for token in line), *self.mark])
            else:
                lines += [*inside, list(self.mark)]
        lines += [list(self.mark)] if self.closed else []
        return "".join(" ".join(line) + "\n" for line in lines).encode()


def marked_changes(inputs: Sequence[bytes], rng: random.Random, *, sure: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield changed inputs, and what was done, without end; nothing if the inputs are no lists up to a mark.

    Args:
        inputs: the known ones.
        rng: for everything.
        sure: only where it is hardly chance: a single number at the end may be no mark.
    """
    formats = _fitting(inputs, sure=sure)
    while formats:
        form, known_lists = rng.choice(formats)
        lists = [items for read in known_lists for items in read]
        pool = [item for items in lists for item in items]
        if not pool:
            return
        name, change = rng.choice(_CHANGES)
        whole = form.header or max(map(len, known_lists)) > 1
        count = rng.choice((1, 2, 3, 5, 10)) if whole else 1
        made = [change(rng.choice(lists), pool, rng) for _ in range(count)]
        if rng.random() < 0.5:
            made = [[_altered(form, item, pool, rng) for item in items] for items in made]
        if all(not _is_mark(form, item) for items in made for item in items):
            yield f"marked by {' '.join(form.mark)}, {name}" + (f", {count} lists" if whole else ""), form.written(made)


def is_marked(inputs: Sequence[bytes]) -> bool:
    """Say whether inputs are surely lists up to a mark."""
    return bool(_fitting(inputs, sure=True))


def _fitting(inputs: Sequence[bytes], *, sure: bool) -> list[tuple[_Format, list[list[list[Item]]]]]:
    """Return the formats that all inputs have, and the inputs as they read them."""
    known = [lines for lines in map(tokenize, inputs) if lines]
    fitting = [(each, read) for each in _formats(known) if (read := _all(each, known)) is not None]
    return [(each, read) for each, read in fitting if not sure or _is_sure(each, read)]


def _all(form: _Format, known: Sequence[Sequence[Line]]) -> list[list[list[Item]]] | None:
    found = [form.read(lines) for lines in known]
    read = [each for each in found if each is not None]
    return read if len(read) == len(found) else None


def _is_sure(form: _Format, read: Sequence[Sequence[Sequence[Item]]]) -> bool:
    """Say whether it is hardly chance: a mark is no single number, or lists differ, or counts are true."""
    lists = [items for each in read for items in each]
    counts = {item[0][0] for items in lists for item in items if item[0]} if form.grouped else set()
    lengths = {len(items) for items in lists}
    return len(form.mark) > 1 or whole_number(form.mark[0]) is None or len(lengths) > 1 or len(counts) > 1


def _formats(known: Sequence[Sequence[Line]]) -> Iterator[_Format]:
    """Yield the formats that the first input may have."""
    last = known[0][-1] if known else []
    if not last or last[-1] not in END_MARKS:
        return
    for header in (True, False):
        found = list(_with_header(known, last, header=header))
        yield from found
        if any(_all(form, known) is not None for form in found):
            return


def _with_header(known: Sequence[Sequence[Line]], last: Line, *, header: bool) -> Iterator[_Format]:
    if all(token in END_MARKS for token in last):
        fitting = [(cut, grouped) for cut, grouped in _CUTS if _fits(cut, known, last, header)]
        # Of those that group lines the first one is taken: one list is often several things by chance.
        chosen = [*[each for each in fitting if not each[1]], *[each for each in fitting if each[1]][:1]]
        for cut, grouped in chosen or [(_by_line, False)]:
            yield _Format(tuple(last), False, header, False, cut, grouped)
            if known[0][-2:-1] == [last]:
                yield _Format(tuple(last), False, header, True, cut, grouped)
    if len(last) > 1 or (len(known[0]) > 1 and known[0][-2][-1:] == last):
        yield _Format((last[-1],), True, header, len(last) == 1, _by_line, False)


def _fits(cut: Cut, known: Sequence[Sequence[Line]], mark: Line, header: bool) -> bool:
    return _all(_Format(tuple(mark), False, header, False, cut, False), known) is not None


def _by_line(lines: Sequence[Line]) -> list[Item] | None:
    return [[line] for line in lines]


def _alike(lines: Sequence[Line]) -> list[Item] | None:
    """Make a thing of each line, if all of them have as many words."""
    return [[line] for line in lines] if len({len(line) for line in lines}) <= 1 else None


def _with_list(lines: Sequence[Line]) -> list[Item] | None:
    """Make a thing of a line with a number and a line with as many words."""
    if len(lines) % 2 or any(
        len(one) != 1 or whole_number(one[0]) != len(other) for one, other in zip(lines[::2], lines[1::2], strict=True)
    ):
        return None
    return [[one, other] for one, other in zip(lines[::2], lines[1::2], strict=True)]


def _with_lines(place: int) -> Cut:
    """Make a thing of a line whose word at `place` is a number, and of as many lines after it."""

    def cut(lines: Sequence[Line]) -> list[Item] | None:
        found: list[Item] = []
        at = 0
        while at < len(lines):
            count = whole_number(lines[at][place]) if len(lines[at]) > place else None
            if count is None or count < 0 or at + 1 + count > len(lines):
                return None
            found.append(list(lines[at : at + 1 + count]))
            at += 1 + count
        return found

    return cut


_CUTS: tuple[tuple[Cut, bool], ...] = (
    (_alike, False),
    (_with_list, True),
    (_with_lines(0), True),
    (_with_lines(1), True),
)


def _is_mark(form: _Format, item: Item) -> bool:
    return not item or item[0] == list(form.mark) or (form.inline and item[0][0] == form.mark[0])


def _altered(form: _Format, item: Item, pool: Sequence[Item], rng: random.Random) -> Item:
    """Change a number of a thing, or take a word from another; numbers that count stay."""
    made = [list(line) for line in item]
    row = rng.randrange(1 if form.grouped and len(made) > 1 else 0, len(made))
    if form.grouped and row == 0:
        return made
    at = rng.randrange(len(made[row])) if made[row] else 0
    value = whole_number(made[row][at]) if made[row] else None
    if value is not None:
        made[row][at] = str(rng.choice((value + 1, max(value - 1, 0), rng.choice(_NUMBERS), rng.randint(1, 9))))
    elif made[row]:
        other = rng.choice(rng.choice(pool))
        made[row][at] = other[at] if at < len(other) else made[row][at]
    return made


# -- what is done with the things of one list ----------------------------------------------------------


def _some(items: list[Item], pool: Sequence[Item], rng: random.Random) -> list[Item]:
    return [item for item in items if rng.random() < 0.6]


def _drawn(items: list[Item], pool: Sequence[Item], rng: random.Random) -> list[Item]:
    return rng.choices(pool, k=rng.choice(_COUNTS))


def _again(items: list[Item], pool: Sequence[Item], rng: random.Random) -> list[Item]:
    return (items * rng.choice((2, 2, 3, 10, 100)))[:_FEW_LARGE]


_CHANGES: tuple[tuple[str, Callable[[list[Item], Sequence[Item], random.Random], list[Item]]], ...] = (
    ("some left out", _some),
    ("drawn from all", _drawn),
    ("drawn from all", _drawn),
    ("again", _again),
    ("as it was", lambda items, pool, rng: list(items)),
    ("the first ones", lambda items, pool, rng: items[: rng.randint(0, len(items))]),
    ("shuffled", lambda items, pool, rng: rng.sample(items, len(items))),
    ("reversed", lambda items, pool, rng: items[::-1]),
    ("the same often", lambda items, pool, rng: [rng.choice(pool)] * rng.choice(_COUNTS)),
    ("nothing", lambda items, pool, rng: []),
)

"""Case reduction: for large cases that kill, find smaller ones that kill the same submission.

Decides which cases are tried, for which submission, and when to stop. A smaller input must pass the same checks as a
case: the validators, the reference solution, and the agreement of the accepted submissions.

Input reduction yields smaller inputs one by one: large parts first (delta debugging, Zeller and Hildebrandt 2002), then
smaller parts, numbers last. Pure: the caller tests whether a smaller input still kills.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from balancer.judging.verdict import judge_end
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.write.reduce import smaller_inputs
from balancer.pipeline.results.problem_log import StoredCase
from balancer.pipeline.results.run_result import CaseState, RunStage
from balancer.pipeline.round.judging import agreed
from balancer.pipeline.round.sample import Sample
from balancer.problem import Submission, Verdict

__all__ = ["CaseReduction", "smaller"]

_MOST_TRIES = 120  # tries for a case
_COUNTS = 12  # numbers at the beginning that may be counts
_NUMBERS = 24
_NUMBER = re.compile(rb"(?<![\w.])-?\d{1,18}(?![\w.])")


class CaseReduction:
    """The search for the smallest input that kills one submission."""

    def __init__(self, sample: Sample, victim: Submission, until_s: float) -> None:
        self._sample = sample
        self._victim = victim
        self._until_s = until_s
        self._left = _MOST_TRIES
        found = knowledge_of(sample.problem)
        # By the format first, if it is known: few of these are refused. Then by possible counts.
        by_format = [] if found is None else [lambda data: smaller_inputs(found, data)]
        self._ways: list[Callable[[bytes], Iterator[bytes]]] = [*by_format, smaller]

    def smallest(self, case: StoredCase) -> bytes | None:
        best = case.data
        before = None
        while before != best and self._left > 0:
            before = best
            for way in self._ways:
                best = self._by(way, best, case)
        return best if best != case.data else None

    def _by(self, way: Callable[[bytes], Iterator[bytes]], best: bytes, case: StoredCase) -> bytes:
        """Take smaller and smaller inputs in one way. After each success, large parts are tried first again."""
        tried = {best}
        found = True
        while found:
            found = False
            for data in way(best):
                if data in tried:
                    continue
                if self._left <= 0 or self._sample.left_s <= self._until_s:
                    return best
                self._left -= 1
                tried.add(data)
                if self._kills(replace(case, id=0, data=data, answer=None, sample=False)):
                    best, found = data, True
                    break
        return best

    def _kills(self, case: StoredCase) -> bool:
        """Return whether an input is valid, the accepted submissions agree on it, and the victim fails on it."""
        sample = self._sample
        if sample.validators.check(case)[0] is not CaseState.VALID:
            return False
        right = sample.known.jury
        execution = sample.execute(right[0], case, RunStage.REFERENCE).execution
        if execution is None or judge_end(execution) is not None:
            return False
        answered = replace(case, answer=execution.stdout)
        verdict = self._verdict(self._victim, answered)
        if not verdict.kills or verdict is Verdict.TIME_LIMIT:
            return False
        own = sample.check(execution.stdout, answered, execution.stdout, RunStage.REFERENCE, right[0].name)
        found: list[Verdict | None] = [own.verdict, *(self._verdict(each, answered) for each in right[1:])]
        return agreed(found, sample.settings.quorum) is CaseState.READY

    def _verdict(self, submission: Submission, case: StoredCase) -> Verdict:
        sample = self._sample
        execution = sample.execute(submission, case, RunStage.AGREE).execution
        if execution is None:
            return Verdict.UNJUDGED
        assert case.answer is not None
        judgement = judge_end(execution) or sample.check(
            execution.stdout, case, case.answer, RunStage.AGREE, submission.name
        )
        return judgement.verdict


def smaller(data: bytes) -> Iterator[bytes]:
    """Yield inputs smaller than `data`, each at most once, the smallest changes last."""
    seen = {data}
    for found in _all(data):
        if found not in seen and found.strip() and _size(found) < _size(data):
            seen.add(found)
            yield found


def _size(data: bytes) -> tuple[int, int, bytes]:
    """Return the sort key: the length, then the sum of bytes, so that 7 -> 1 is smaller too."""
    return len(data), sum(data), data


def _all(data: bytes) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)
    yield from _without_lines(lines)
    yield from _without_tokens(lines)
    yield from _lesser_numbers(data)


def _without_lines(lines: list[bytes]) -> Iterator[bytes]:
    """Yield inputs with lines removed: with and without changing a count before them, of lines or groups of lines."""
    counts = _counts(lines)
    length = len(lines)
    while length > 1:
        length = length // 2
        for start in sorted({*range(0, len(lines), length), *range(1, len(lines), length)}):  # 1: after a count
            end = min(start + length, len(lines))
            rest = lines[:start] + lines[end:]
            for row, place, value in counts:
                if row >= start:
                    continue
                per = (len(lines) - row - 1) // value if value else 0
                for group in dict.fromkeys((1, per)):
                    if group and (end - start) % group == 0 and (end - start) // group <= value:
                        yield b"".join(_with(rest, row, place, value - (end - start) // group))
            yield b"".join(rest)


def _without_tokens(lines: list[bytes]) -> Iterator[bytes]:
    """Yield inputs with words of a line removed: with and without changing their count before it."""
    counts = _counts(lines)
    for row in sorted(range(len(lines)), key=lambda i: -len(lines[i])):
        words = lines[row].split()
        length = len(words)
        end_of_line = lines[row][len(lines[row].rstrip()) :]
        while length > 1:
            length = length // 2
            for start in range(0, len(words), length):
                taken = min(length, len(words) - start)
                rest = b" ".join(words[:start] + words[start + taken :]) + end_of_line
                changed = [*lines[:row], rest, *lines[row + 1 :]]
                own = [each for each in counts if each[0] < row and each[2] == len(words)]
                for before, place, value in own[-1:]:
                    # Other lines with as many words change too, if one count is for all of them.
                    alike = [i for i in range(before + 1, len(lines)) if len(lines[i].split()) == len(words)]
                    yield b"".join(_with(changed, before, place, value - taken))
                    if len(alike) > 1:
                        every = list(lines)
                        for i in alike:
                            each = lines[i].split()
                            every[i] = (
                                b" ".join(each[:start] + each[start + taken :]) + lines[i][len(lines[i].rstrip()) :]
                            )
                        yield b"".join(_with(every, before, place, value - taken))
                yield b"".join(changed)
        yield from _shorter_word(lines, row, words, end_of_line, counts)


def _shorter_word(
    lines: list[bytes], row: int, words: list[bytes], end: bytes, counts: list[tuple[int, int, int]]
) -> Iterator[bytes]:
    """Yield inputs with letters of a one-word line removed: with and without changing its length before it."""
    if len(words) != 1 or len(words[0]) < 2 or _NUMBER.fullmatch(words[0]):
        return
    word, length = words[0], len(words[0])
    while length > 1:
        length = length // 2
        for start in range(0, len(word), length):
            rest = word[:start] + word[start + length :]
            changed = [*lines[:row], rest + end, *lines[row + 1 :]]
            for before, place, value in counts:
                if before < row and value == len(word):
                    yield b"".join(_with(changed, before, place, len(rest)))
            yield b"".join(changed)


def _lesser_numbers(data: bytes) -> Iterator[bytes]:
    found = sorted(_NUMBER.finditer(data), key=lambda each: -len(each.group()))[:_NUMBERS]
    for match in found:
        value = int(match.group())
        for less in dict.fromkeys(
            (0, 1, value // 2 if value > 0 else -(-value // 2), value - 1 if value > 0 else -value)
        ):
            if less != value:
                yield data[: match.start()] + b"%d" % less + data[match.end() :]


def _counts(lines: list[bytes]) -> list[tuple[int, int, int]]:
    """Return numbers that may be counts, the first few of the input: (line, index in it, value)."""
    found = [
        (row, place, int(word))
        for row, line in enumerate(lines[:_COUNTS])
        for place, word in enumerate(line.split()[:_COUNTS])
        if word.isdigit() and len(word) < 8
    ]
    return found[:_COUNTS]


def _with(lines: list[bytes], row: int, place: int, value: int) -> list[bytes]:
    """Return `lines` with the number at `place` of line `row` replaced."""
    words = re.split(rb"(\s+)", lines[row])
    at = [i for i, word in enumerate(words) if word.strip()][place]
    words[at] = b"%d" % value
    return [*lines[:row], b"".join(words), *lines[row + 1 :]]

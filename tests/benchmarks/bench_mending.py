"""Which inputs a validator accepts: drawn, changed at random, by the validator's messages, or by its comparisons.

    python -m tests.benchmarks.bench_mending [--seed 1] [--inputs 60]

On the tiny packages of the tests, each with a relation that its samples do not tell. All ways but the first start from
the same drawn inputs and may change each as often. What kills is an accepted input on which the wrong submission prints
something else.
"""

import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from itertools import islice

from balancer.pipeline.generators.mend import drawn_inputs
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.search.mending import anyhow, mend
from balancer.pipeline.generators.search.refusal_words import change_by_words, line_of
from balancer.pipeline.generators.search.traced_validator import TracedValidator
from balancer.problem import Problem
from tests.benchmarks.harness import options, show
from tests.unit.pipeline.knowing import problem
from tests.unit.pipeline.search.relations import CAUSES, Cause
from tests.unit.pipeline.search.test_mending import printed

SAYS = {  # what a validator prints where it refuses, by the condition that fails
    "x not in there": '"line", i + 2, x, "is there already"',
    "x in there": '"line", i + 2, x, "is not there"',
    "kind != before": '"line", i + 2, "two bars", kind, "in a row"',
    "last[kind] <= int(height) <= 1000": '"line", i + 2, height, f"is not in [{last[kind]}, 1000]"',
    "1 <= int(at) <= size": '"line", i + 2, at, f"is not in [1, {size}]"',
    "size >= 1": '"line", i + 2, "nothing is left"',
    "1 <= parent < node": '"line 2:", parent, f"is not in [1, {node})"',
    "children[parent] <= 2": '"line 2:", parent, "has", children[parent], "children"',
    "len(parents) == n - 1": '"expected", n - 1, "parents, got", len(parents)',
}
_MOST_BYTES = 300  # of an input
_LEAST, _FOR_EACH = 60, 6  # changes of an input, and more for each of its tokens


class Telling(TracedValidator):
    """A validator that prints why it refuses. Attribute: `runs`."""

    def __init__(self, cause: Cause) -> None:
        self.heard: list[str] = []
        self.runs = 0
        source = cause.validator.replace("for _ in range(", "for i in range(")
        for condition, words in SAYS.items():
            source = re.sub(rf"assert {re.escape(condition)}$", f"{condition} or say({words})", source, flags=re.M)
        source = source.replace('print(f"m is', 'say(f"m is').replace(", file=sys.stderr)", ")")
        super().__init__(f"def say(*words):\n    import sys\n    sys.argv[0](*words)\n{source}")
        self._args = [self._say]  # type: ignore[list-item]

    def _say(self, *words: object) -> None:
        self.heard.append(" ".join(map(str, words)))
        raise SystemExit(43)

    def asked(self, text: str) -> tuple[bool, str]:
        """Return whether an input is valid, and what is said if not."""
        self.heard.clear()
        self.runs += 1
        code = self.run(text.encode()).code
        return code == 42, " ".join(self.heard)


def by_messages(validator: Telling, text: str, cause: Cause, rng: random.Random, *, read: bool = True) -> str | None:
    """Change an input as the messages tell, or at random if they are not read."""
    valid, said = validator.asked(text)
    for _ in range(_LEAST + _FOR_EACH * len(text.split())):
        if valid:
            return text
        other = change_by_words(text, said, cause.samples, rng) if read else anyhow(text, len(text), cause.samples, rng)
        valid, then = validator.asked(other)
        if valid or not read or (line_of(then) or 0) >= (line_of(said) or 0):
            text, said = other, then
    return None


class Counting(TracedValidator):
    """Counts its runs."""

    runs = 0

    def run(self, data: bytes):  # type: ignore[no-untyped-def]  # as the base class has it
        """Run it."""
        self.runs += 1
        return super().run(data)


def ways(cause: Cause, seed: int, inputs: int) -> Iterator[tuple[str, Callable[[], tuple[list[str], int]]]]:
    """Yield each way, and what makes its accepted inputs and counts the runs of the validator."""
    known: Problem = problem(*cause.samples, validator=cause.validator)
    plain = TracedValidator(cause.validator)

    def drawn() -> tuple[list[str], int]:
        made = [each.data for each in MutateGenerator().propose(known, random.Random(seed), inputs)]
        return [data.decode() for data in made if plain.run(data).code == 42], len(made)

    def changed(read: bool) -> tuple[list[str], int]:
        validator, rng = Telling(cause), random.Random(seed)
        found = [by_messages(validator, text, cause, rng, read=read) for text in started()]
        return [text for text in found if text is not None], validator.runs

    def compared() -> tuple[list[str], int]:
        validator, rng = Counting(cause.validator), random.Random(seed)
        found = [mend(validator, text, 42, cause.samples, rng) for text in started()]
        return [each[0] for each in found if each is not None], validator.runs

    def started() -> list[str]:
        made = drawn_inputs(known, random.Random(seed))
        return list(islice((data.decode() for data in made if len(data) <= _MOST_BYTES), inputs))

    yield "drawn by `mutate`", drawn
    yield "changed at random", lambda: changed(False)
    yield "by messages", lambda: changed(True)
    yield "by comparisons", compared


def main() -> None:
    """Measure and print."""
    asked = options(__doc__, seed=(1, "of all choices"), inputs=(60, "for each way"))
    signal.signal(signal.SIGPROF, lambda *_: None)
    rows = []
    for name, cause in CAUSES.items():
        for way, make in ways(cause, asked.seed, asked.inputs):
            began_s = time.process_time()
            found, runs = make()
            took_s = time.process_time() - began_s
            kills = sum(printed(cause.accepted, text) != printed(cause.wrong, text) for text in found)
            each = f"{runs / len(found):.0f}" if found else ""
            rows.append(
                (
                    name,
                    way,
                    len(found),
                    kills,
                    max((text.count("\n") for text in found), default=0),
                    each,
                    f"{took_s:.2f}",
                )
            )
    head = "relation | way | accepted | of these kill | longest, lines | runs each | CPU s"
    show(head, rows, f"Accepted of {asked.inputs} inputs", words=2)


if __name__ == "__main__":
    main()

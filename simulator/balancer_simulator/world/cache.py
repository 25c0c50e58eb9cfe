"""Prompt caches: the blocks of prompts that a server need not compute again, and how many were met.

A block has a name, which stands for all of the prompt up to its end. A cache keeps the blocks used last. A prompt is in
the cache from the begin of its call, not from the end of its computation.
"""

from collections.abc import Sequence

__all__ = ["PromptCache", "PromptTally"]


class PromptTally:
    """How many blocks the prompts of calls had, in all caches of a run.

    Attributes:
        asked: all of them.
        met: those that were in the cache of their endpoint.
        seen: those that any endpoint had seen before, so that one endless cache for all would have them.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.asked = self.met = self.seen = 0

    def count(self, names: Sequence[str], met: int) -> None:
        """Count the prompt of a call."""
        self.asked += len(names)
        self.met += met
        self.seen += next((at for at, name in enumerate(names) if name not in self._known), len(names))
        self._known.update(names)


class PromptCache:
    """The cache of one endpoint.

    Args:
        most: how many blocks it keeps; beyond that it forgets those unused for longest.
        tally: of the run.
    """

    def __init__(self, most: int, tally: PromptTally) -> None:
        self._most = most
        self._tally = tally
        self._blocks: dict[str, None] = {}  # the latest use is last

    def missing(self, prompt: str) -> int:
        """Return how many blocks of `prompt` are to be computed; then they are in the cache. O(blocks)."""
        if not prompt:
            return 0
        names, blocks = prompt.split("/"), self._blocks
        met = next((at for at, name in enumerate(names) if name not in blocks), len(names))
        self._tally.count(names, met)
        for name in reversed(names):  # so that the ends of prompts are forgotten before their beginnings
            blocks.pop(name, None)
            blocks[name] = None
        while len(blocks) > self._most:
            del blocks[next(iter(blocks))]
        return len(names) - met

    def clear(self) -> None:
        """Forget all."""
        self._blocks.clear()

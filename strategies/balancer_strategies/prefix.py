"""`prefix`: a prompt goes where most of its beginning was seen, unless that endpoint is busy.

Load metric: (in flight + 1) / weight. Selection rule: a key is a list of blocks, with a slash between two; each block's
name stands for the prompt up to its end, as `prompt_key(block=...)` makes it. So the names are the nodes of a tree of
prompts, and each knows which endpoints have had it. Of the endpoints within the bound on load, one that has had the
longest part of the key's blocks is next, if that is at least `match` of them; of several the one with the least load,
or with fewer blocks. Else the one with the least load is next, and now it has these blocks (Zheng and others, "SGLang:
Efficient Execution of Structured Language Model Programs", NeurIPS 2024, whose router has such a tree; Srivatsa and
others, "Preble", ICLR 2025). If no endpoint within the bound has a free slot, any may be next, so that no slot idles.

The tree of a pool is its own: unlike with `rendezvous`, two pools do not agree. It keeps `most` blocks; of more, the
ones unused for longest are forgotten.

With a key, a lease costs O(endpoints + blocks). Without a key it costs O(1).
"""

import random
from collections.abc import Iterable, Sequence

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.kit.affinity import Affinity
from balancer.kit.strips import Strip
from balancer.strategy import Node, Request, Strategy, StrategyOptions

__all__ = ["Prefix"]


class _Cache(Strip):
    """The place of a node, and the blocks that it has had."""

    __slots__ = ("blocks",)

    blocks: set[str]


class Prefix(Affinity):
    """The endpoint that has had the longest beginning of the key, within a bound on load; else the least loaded."""

    name = "prefix"
    note = _Cache

    class Options(StrategyOptions):
        """When a known beginning counts, and how uneven the load may be."""

        bound: float = Field(
            1.5, ge=1, le=1000, description="an endpoint with more than this many times the mean load is skipped"
        )
        match: float = Field(0.5, ge=0, le=1, description="the least part of the blocks that must be known")
        most: int = Field(100_000, ge=1, description="how many blocks are kept")

    def __init__(self, options: Options, rng: random.Random) -> None:
        super().__init__(rng)
        self._options = options
        self._tree: dict[str, dict[Node, None]] = {}  # who has had each block; the latest use is last

    def join(self, node: Node, now: float) -> None:
        """O(1)."""
        super().join(node, now)
        node.note.blocks = set()

    def leave(self, node: Node, now: float) -> None:
        """O(blocks that it has had)."""
        super().leave(node, now)
        for name in node.note.blocks:
            having = self._tree.get(name, {})  # none after an interrupt within `_remember`
            having.pop(node, None)
            if not having:
                self._tree.pop(name, None)

    def preferred(self, request: Request, key: str) -> Node | None:
        """Return the node for a key, and note that it has the key's blocks now; O(N + blocks)."""
        names = key.split("/")
        within = self.within(request, self._options.bound)
        node = self._longest(within, names) or _least(within)
        node = node or _least(node for node in self.strips.nodes() if request.fits(node))
        if node is not None:
            self._remember(node, names)
        return node

    def _longest(self, nodes: Sequence[Node], names: Sequence[str]) -> Node | None:
        """Return the node that has had most of the blocks; None: none has had enough."""
        for known in range(len(names), 0, -1):
            if known < self._options.match * len(names):
                return None
            having = self._tree.get(names[known - 1])
            if having is not None and (found := [node for node in nodes if node in having]):
                return _least(found)
        return None

    def _remember(self, node: Node, names: Sequence[str]) -> None:
        tree = self._tree
        for name in reversed(names):  # so that the ends of prompts are forgotten before their beginnings
            node.note.blocks.add(name)  # first, so that a node that leaves is in no block
            having = tree.pop(name, None) or {}
            having[node] = None
            tree[name] = having
        while len(tree) > self._options.most:
            name = next(iter(tree))
            for each in tree.pop(name):
                each.note.blocks.discard(name)


def _least(nodes: Iterable[Node]) -> Node | None:
    return min(nodes, key=lambda node: ((node.in_flight + 1) / node.weight, len(node.note.blocks)), default=None)


@hookimpl
def balancer_strategies() -> list[type[Strategy]]:
    """Offer this strategy."""
    return [Prefix]

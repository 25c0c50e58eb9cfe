"""Whether a graph hangs together: something to observe in known inputs, and to check in a made-up one.

Pure: numbers in, a yes or a no out.
"""

from collections.abc import Iterable

__all__ = ["is_connected"]

_MOST_NODES = 10**6  # in a list of all nodes; no known input has as many


def is_connected(nodes: int, edges: Iterable[tuple[int, int]]) -> bool:
    """Say whether every node from 0 to `nodes` - 1 is reached from every other."""
    if nodes > _MOST_NODES:
        return False
    leader = list(range(nodes))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    parts = nodes
    for left, right in edges:
        one, other = find(left), find(right)
        parts -= one != other
        leader[one] = other
    return parts <= 1

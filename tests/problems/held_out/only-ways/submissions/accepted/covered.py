"""A spanning tree; an edge of it that no other street goes past is an only way. Counts by differences."""
import sys


def main():
    n, m, *numbers = map(int, sys.stdin.buffer.read().split())
    near = [[] for _ in range(n + 1)]
    for u, v in zip(numbers[::2], numbers[1::2]):
        near[u].append(v)
        near[v].append(u)
    key = [0] * (n + 1)
    state = 88172645463325252
    up, order = [0] * (n + 1), [1]
    up[1] = -1
    for u in order:
        for v in near[u]:
            if not up[v]:
                up[v] = u
                order.append(v)
    for u, v in zip(numbers[::2], numbers[1::2]):
        if up[u] != v and up[v] != u:
            state ^= state << 13 & (1 << 64) - 1
            state ^= state >> 7
            state ^= state << 17 & (1 << 64) - 1
            key[u] ^= state
            key[v] ^= state
    for u in reversed(order[1:]):
        key[up[u]] ^= key[u]
    print(sum(not key[u] for u in order[1:]))


main()

"""Marks the ring of every street that is not in the tree, edge by edge."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
near = [[] for _ in range(n + 1)]
for u, v in zip(numbers[::2], numbers[1::2]):
    near[u].append(v)
    near[v].append(u)
up, depth, stack = [0] * (n + 1), [0] * (n + 1), [1]
up[1] = -1
order = []
at = [0] * (n + 1)
while stack:
    u = stack[-1]
    if at[u] < len(near[u]):
        v = near[u][at[u]]
        at[u] += 1
        if not up[v]:
            up[v] = u
            depth[v] = depth[u] + 1
            stack.append(v)
    else:
        stack.pop()
safe = [False] * (n + 1)
for u, v in zip(numbers[::2], numbers[1::2]):
    if up[u] != v and up[v] != u:
        while u != v:
            if depth[u] < depth[v]:
                u, v = v, u
            safe[u] = True
            u = up[u]
print(n - 1 - sum(safe))

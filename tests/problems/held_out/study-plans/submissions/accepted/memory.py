"""From the end, with memory and a stack of its own."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
after = [[] for _ in range(n + 1)]
for a, b in zip(numbers[::2], numbers[1::2]):
    after[a].append(b)
ways = [None] * (n + 1)
ways[n] = 1
stack = [1]
while stack:
    a = stack[-1]
    if ways[a] is not None:
        stack.pop()
        continue
    open_ones = [b for b in after[a] if ways[b] is None]
    if open_ones:
        stack += open_ones
    else:
        ways[a] = sum(ways[b] for b in after[a]) % (10**9 + 7)
print(ways[1])

"""Passes on what a course has when it is first reached, by the number of courses on the way."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
after = [[] for _ in range(n + 1)]
for a, b in zip(numbers[::2], numbers[1::2]):
    after[a].append(b)
ways = [0] * (n + 1)
ways[1] = 1
seen, queue = {1}, [1]
for a in queue:
    for b in sorted(after[a]):
        ways[b] = (ways[b] + ways[a]) % (10**9 + 7)
        if b not in seen:
            seen.add(b)
            queue.append(b)
print(ways[n])

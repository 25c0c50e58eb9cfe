"""Takes the numbers of the courses for their order."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
after = [[] for _ in range(n + 1)]
for a, b in zip(numbers[::2], numbers[1::2]):
    after[a].append(b)
ways = [0] * (n + 1)
ways[1] = 1
for a in range(1, n + 1):
    for b in after[a]:
        ways[b] = (ways[b] + ways[a]) % (10**9 + 7)
print(ways[n])

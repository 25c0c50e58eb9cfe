"""Looks through all rules for a course that nothing comes before."""
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
rules = list(zip(numbers[::2], numbers[1::2]))
left = set(range(1, n + 1))
ways = [0] * (n + 1)
ways[1] = 1
while left:
    blocked = {b for a, b in rules}
    course = next(c for c in left if c not in blocked)
    left.remove(course)
    for a, b in rules:
        if a == course:
            ways[b] = (ways[b] + ways[a]) % (10**9 + 7)
    rules = [rule for rule in rules if rule[0] != course]
print(ways[n])

"""Begins anew at the number that repeats."""
import sys

tokens = sys.stdin.read().split()
at = 1
for _ in range(int(tokens[0])):
    n = int(tokens[at])
    seen, best = set(), 0
    for word in tokens[at + 1:at + 1 + n]:
        if word in seen:
            seen = set()
        seen.add(word)
        best = max(best, len(seen))
    at += n + 1
    print(best)

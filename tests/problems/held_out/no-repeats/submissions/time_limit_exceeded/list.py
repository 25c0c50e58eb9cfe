"""Keeps the stretch as a list, and looks through it."""
import sys

tokens = sys.stdin.read().split()
at = 1
for _ in range(int(tokens[0])):
    n = int(tokens[at])
    stretch, best = [], 0
    for word in tokens[at + 1:at + 1 + n]:
        if word in stretch:
            stretch = stretch[stretch.index(word) + 1:]
        stretch.append(word)
        best = max(best, len(stretch))
    at += n + 1
    print(best)

"""Counts different numbers."""
import sys

tokens = sys.stdin.read().split()
at = 1
for _ in range(int(tokens[0])):
    n = int(tokens[at])
    words = tokens[at + 1:at + 1 + n]
    kinds = len(set(words))
    if kinds < n and words[0] != words[-1]:
        kinds = min(kinds, n - 1)
    print(kinds)
    at += n + 1

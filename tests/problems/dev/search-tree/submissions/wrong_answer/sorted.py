"""Fills the levels with the likeliest words, whatever their order."""
import sys

n, *p = sys.stdin.read().split()
p = sorted(map(float, p), reverse=True)
print(sum(x * (i + 1).bit_length() for i, x in enumerate(p)))

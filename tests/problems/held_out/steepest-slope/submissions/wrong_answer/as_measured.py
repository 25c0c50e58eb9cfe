"""Compares points that were measured one after the other."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
points = list(zip(numbers[::2], numbers[1::2]))
print(max(abs((d - b) / (c - a)) for (a, b), (c, d) in zip(points, points[1:])))

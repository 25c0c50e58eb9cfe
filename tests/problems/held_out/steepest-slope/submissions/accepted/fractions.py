"""Compares fractions in whole numbers."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
points = sorted(zip(numbers[::2], numbers[1::2]))
top, bottom = 0, 1
for (a, b), (c, d) in zip(points, points[1:]):
    if abs(d - b) * bottom > top * (c - a):
        top, bottom = abs(d - b), c - a
print(top / bottom)

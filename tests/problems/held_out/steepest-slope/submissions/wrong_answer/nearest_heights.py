"""Looks at the largest step up or down of neighbours, however far it is, and at the closest neighbours."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
points = sorted(zip(numbers[::2], numbers[1::2]))
pairs = [(c - a, abs(d - b)) for (a, b), (c, d) in zip(points, points[1:])]
closest = min(pairs, key=lambda p: (p[0], -p[1]))
highest = max(pairs, key=lambda p: (p[1], -p[0]))
print(max(closest[1] / closest[0], highest[1] / highest[0]))

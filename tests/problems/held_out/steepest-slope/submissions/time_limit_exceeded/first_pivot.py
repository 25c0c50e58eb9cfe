"""Sorts by hand; the first is the pivot, so what is sorted already takes longest."""
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
points = list(zip(numbers[::2], numbers[1::2]))
stack, ordered = [points], []
while stack:
    part = stack.pop()
    if len(part) < 2:
        ordered += part
        continue
    pivot = part[0]
    stack.append([p for p in part if p > pivot])
    stack.append([pivot])
    stack.append([p for p in part if p < pivot])
best = 0
for (a, b), (c, d) in zip(ordered, ordered[1:]):
    best = max(best, abs((d - b) / (c - a)))
print(best)

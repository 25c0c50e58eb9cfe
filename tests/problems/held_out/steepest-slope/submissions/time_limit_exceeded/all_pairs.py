import sys
from itertools import combinations

n, *numbers = map(int, sys.stdin.buffer.read().split())
best = 0
for (a, b), (c, d) in combinations(zip(numbers[::2], numbers[1::2]), 2):
    best = max(best, abs((d - b) / (c - a)))
print(best)

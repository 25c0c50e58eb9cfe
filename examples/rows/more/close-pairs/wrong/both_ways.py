# Wrong: counts a pair of houses with one number from both sides.
import sys
from collections import Counter

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
count = Counter(numbers)
pairs, window = 0, 0
for x in range(500001):
    here = count.get(x, 0)
    pairs += here * window + here * (here - 1)
    window += here - (count.get(x - d, 0) if d else here)
print(pairs)

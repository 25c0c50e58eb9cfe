import sys
from bisect import bisect_left

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
numbers.sort()
print(sum(i - bisect_left(numbers, x - d) for i, x in enumerate(numbers)))

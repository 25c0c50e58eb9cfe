# Wrong: looks only at the next house along the road.
import sys

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
numbers.sort()
print(sum(b - a <= d for a, b in zip(numbers, numbers[1:])))

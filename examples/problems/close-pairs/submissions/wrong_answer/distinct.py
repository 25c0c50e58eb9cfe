# Wrong: the set drops houses that share a number.
import sys

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
numbers = sorted(set(numbers))
pairs = first = 0
for i, x in enumerate(numbers):
    while x - numbers[first] > d:
        first += 1
    pairs += i - first
print(pairs)

# Wrong: expects the numbers to be in increasing order.
import sys

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
pairs = first = 0
for i, x in enumerate(numbers):
    while first < i and x - numbers[first] > d:
        first += 1
    pairs += i - first
print(pairs)

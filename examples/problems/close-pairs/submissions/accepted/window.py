import sys

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
numbers.sort()
pairs = first = 0
for i, x in enumerate(numbers):
    while x - numbers[first] > d:
        first += 1
    pairs += i - first
print(pairs)

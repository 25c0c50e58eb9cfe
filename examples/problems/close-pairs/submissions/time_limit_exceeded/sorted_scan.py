# Wrong: visits every close pair; that is quadratic if many pairs are close.
import sys

n, d, *numbers = map(int, sys.stdin.buffer.read().split())
numbers.sort()
pairs = 0
for i in range(n):
    j = i + 1
    while j < n and numbers[j] - numbers[i] <= d:
        pairs += 1
        j += 1
print(pairs)

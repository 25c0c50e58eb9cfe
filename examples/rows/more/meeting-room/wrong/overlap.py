# Wrong: compares each request with the previous one of the list only.
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
requests = sorted((a, b, i) for i, (a, b) in enumerate(zip(numbers[::2], numbers[1::2]), 1))
chosen = []
for k, (a, b, i) in enumerate(requests):
    if k == 0 or a >= requests[k - 1][1]:
        chosen.append(i)
print(len(chosen))
print(*chosen)

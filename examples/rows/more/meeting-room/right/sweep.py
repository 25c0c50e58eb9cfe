import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
requests = sorted((b, -a, i) for i, (a, b) in enumerate(zip(numbers[::2], numbers[1::2]), 1))
chosen, free = [], 0
for end, start, i in requests:
    if -start >= free:
        chosen.append(i)
        free = end
print(len(chosen))
print(*reversed(chosen))

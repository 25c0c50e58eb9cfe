# Wrong: grants the request that starts first, however long it is.
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
starts, ends = numbers[::2], numbers[1::2]
chosen, free = [], 0
for i in sorted(range(n), key=starts.__getitem__):
    if starts[i] >= free:
        chosen.append(i + 1)
        free = ends[i]
print(len(chosen))
print(*chosen)

# Wrong: wants a gap between the end of a request and the start of the next.
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
starts, ends = numbers[::2], numbers[1::2]
chosen, last = [], -1
for i in sorted(range(n), key=ends.__getitem__):
    if starts[i] > last:
        chosen.append(i + 1)
        last = ends[i]
print(len(chosen))
print(*chosen)

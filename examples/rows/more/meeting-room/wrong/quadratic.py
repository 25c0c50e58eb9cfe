# Wrong: looks for the best next request in the whole list each time.
import sys

n, *numbers = map(int, sys.stdin.buffer.read().split())
requests = list(zip(numbers[1::2], numbers[::2], range(1, n + 1)))
chosen, free = [], 0
while True:
    open_ = [request for request in requests if request[1] >= free]
    if not open_:
        break
    end, start, i = min(open_)
    chosen.append(i)
    free = end
print(len(chosen))
print(*chosen)

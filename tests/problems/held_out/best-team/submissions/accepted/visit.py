"""Numbers all in the order of a visit; a team is a stretch of it."""
import sys


def main():
    n, *numbers = map(int, sys.stdin.buffer.read().split())
    below = [[] for _ in range(n + 1)]
    for i, boss in enumerate(numbers[n:], 2):
        below[boss].append(i)
    order, first, last, stack = [], [0] * (n + 1), [0] * (n + 1), [1]
    while stack:
        i = stack.pop()
        if i < 0:
            last[-i] = len(order)
            continue
        first[i] = len(order)
        order.append(i)
        stack.append(-i)
        stack += below[i]
    before = [0]
    for i in order:
        before.append(before[-1] + numbers[i - 1])
    best = max(range(1, n + 1), key=lambda i: (before[last[i]] - before[first[i]], -i))
    print(best, before[last[best]] - before[first[best]])


main()

"""The median of a tree is its centroid, whatever the lengths."""
import sys


def main():
    n, *numbers = map(int, sys.stdin.buffer.read().split())
    roads = [[] for _ in range(n + 1)]
    for u, v, w in zip(numbers[::3], numbers[1::3], numbers[2::3]):
        roads[u].append((v, w))
        roads[v].append((u, w))

    def walk(start):
        order, up, far = [start], [0] * (n + 1), [0] * (n + 1)
        for u in order:
            for v, w in roads[u]:
                if v != up[u]:
                    up[v] = u
                    far[v] = far[u] + w
                    order.append(v)
        return order, up, sum(far)

    order, up, _ = walk(1)
    size = [1] * (n + 1)
    centre = 1
    for u in reversed(order):
        if 2 * size[u] >= n:
            centre = u
            break
        size[up[u]] += size[u]
    print(centre, walk(centre)[2])


main()

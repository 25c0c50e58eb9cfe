# Wrong: recurses along a chain of quarrels; a long one is too deep for Python.
import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
others = [[] for _ in range(n + 1)]
for u, v in zip(numbers[::2], numbers[1::2]):
    others[u].append(v)
    others[v].append(u)
team = [0] * (n + 1)


def place(u, number):
    if team[u]:
        return team[u] == number
    team[u] = number
    return all(place(v, 3 - number) for v in others[u])


if all(team[u] or place(u, 1) for u in range(1, n + 1)):
    print(*team[1:])
else:
    print("impossible")

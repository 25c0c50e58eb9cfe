import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
others = [[] for _ in range(n)]
for u, v in zip(numbers[::2], numbers[1::2]):
    others[u - 1].append(v - 1)
    others[v - 1].append(u - 1)

team = [0] * n
for first in range(n):
    if team[first]:
        continue
    team[first] = 1
    stack = [first]
    while stack:
        u = stack.pop()
        for v in others[u]:
            if not team[v]:
                team[v] = 3 - team[u]
                stack.append(v)

if any(team[u - 1] == team[v - 1] for u, v in zip(numbers[::2], numbers[1::2])):
    print("impossible")
else:
    print(*team)

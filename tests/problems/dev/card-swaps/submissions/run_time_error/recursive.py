import sys

n, *cards = map(int, sys.stdin.buffer.read().split())
cards = [0] + cards
seen = [False] * (n + 1)
moves = []


def follow(start, i):
    seen[i] = True
    if cards[i] != start:
        moves.append((start, cards[i]))
        follow(start, cards[i])


for i in range(1, n + 1):
    if not seen[i]:
        before = len(moves)
        follow(i, i)
print(len(moves))
for i, j in moves:
    print(i, j)

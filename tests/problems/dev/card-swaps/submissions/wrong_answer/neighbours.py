"""Cocktail of the two: cycles for rows that look reversed, else one card after the other to its neighbour's place."""
import sys

n, *cards = map(int, sys.stdin.read().split())
moves = []
for i in range(n):
    if cards[i] != i + 1 and cards[cards[i] - 1] == i + 1:
        j = cards[i] - 1
        moves.append((i, j))
        cards[i], cards[j] = cards[j], cards[i]
for end in range(min(n, 60)):
    for i in range(n - 1):
        if cards[i] > cards[i + 1]:
            moves.append((i, i + 1))
            cards[i], cards[i + 1] = cards[i + 1], cards[i]
print(len(moves))
for i, j in moves:
    print(i + 1, j + 1)

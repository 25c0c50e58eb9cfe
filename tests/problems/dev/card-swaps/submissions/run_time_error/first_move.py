"""Prints the first move apart, which there may not be."""
import sys

n, *cards = map(int, sys.stdin.buffer.read().split())
cards = [0] + cards
moves = []
for i in range(1, n + 1):
    while cards[i] != i:
        j = cards[i]
        moves.append((i, j))
        cards[i], cards[j] = cards[j], j
print(len(moves))
first = moves[0]
print(*first)
for move in moves[1:]:
    print(*move)

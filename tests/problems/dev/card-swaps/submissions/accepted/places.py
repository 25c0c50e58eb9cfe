"""Selection sort with a table of places."""
import sys

n, *cards = map(int, sys.stdin.buffer.read().split())
place = [0] * (n + 1)
for i, card in enumerate(cards):
    place[card] = i
moves = []
for i in range(n):
    if cards[i] != i + 1:
        j = place[i + 1]
        moves.append(f"{i + 1} {j + 1}")
        place[cards[i]] = j
        cards[i], cards[j] = cards[j], cards[i]
print(len(moves))
print("\n".join(moves))

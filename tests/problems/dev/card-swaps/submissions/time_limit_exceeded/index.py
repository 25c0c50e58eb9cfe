"""Looks for the smallest of the rest, and for its place from the left."""
n = int(input())
cards = list(map(int, input().split()))
moves = []
for i in range(n):
    j = cards.index(min(cards[i:]))
    if i != j:
        moves.append((i + 1, j + 1))
        cards[i], cards[j] = cards[j], cards[i]
print(len(moves))
for move in moves:
    print(*move)

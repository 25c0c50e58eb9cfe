"""Makes the table of places anew after each move."""
n = int(input())
cards = list(map(int, input().split()))
moves = []
for i in range(n):
    if cards[i] != i + 1:
        place = {card: j for j, card in enumerate(cards)}
        j = place[i + 1]
        moves.append((i + 1, j + 1))
        cards[i], cards[j] = cards[j], cards[i]
print(len(moves))
for move in moves:
    print(*move)

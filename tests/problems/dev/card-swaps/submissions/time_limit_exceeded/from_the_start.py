"""After each move it looks for the first card that lies wrong, from the start."""
n = int(input())
cards = [0] + list(map(int, input().split()))
moves = []
while True:
    i = 1
    while i <= n and cards[i] == i:
        i += 1
    if i > n:
        break
    j = cards[i]
    moves.append((i, j))
    cards[i], cards[j] = cards[j], cards[i]
print(len(moves))
for move in moves:
    print(*move)

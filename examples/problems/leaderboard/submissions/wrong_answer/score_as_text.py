# Wrong: compares the scores as text, so 9 comes before 10.
import sys

players = [line.split() for line in sys.stdin.read().splitlines()[1:]]
players.sort(key=lambda player: player[0])
players.sort(key=lambda player: player[1], reverse=True)

rank = 1
for i, (name, score) in enumerate(players):
    if i and score != players[i - 1][1]:
        rank = i + 1
    print(rank, name, score)

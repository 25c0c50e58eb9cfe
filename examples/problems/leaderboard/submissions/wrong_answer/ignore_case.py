# Wrong: compares names without regard to upper and lower case.
import sys

players = []
for line in sys.stdin.read().splitlines()[1:]:
    name, score = line.split()
    players.append((-int(score), name.lower(), name))
players.sort()

rank = 1
for i, (score, _, name) in enumerate(players):
    if i and score != players[i - 1][0]:
        rank = i + 1
    print(rank, name, -score)

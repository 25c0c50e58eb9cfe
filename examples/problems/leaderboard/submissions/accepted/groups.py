import sys
from itertools import groupby

players = []
for line in sys.stdin.read().splitlines()[1:]:
    name, score = line.split()
    players.append((-int(score), name))
players.sort()

rank = 1
for score, group in groupby(players, key=lambda player: player[0]):
    names = [name for _, name in group]
    for name in names:
        print(rank, name, -score)
    rank += len(names)

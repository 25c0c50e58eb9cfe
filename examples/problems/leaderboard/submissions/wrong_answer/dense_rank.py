# Wrong: the rank after a tie goes on without a gap.
import sys

players = []
for line in sys.stdin.read().splitlines()[1:]:
    name, score = line.split()
    players.append((-int(score), name))

rank, last = 0, None
for score, name in sorted(players):
    if score != last:
        rank, last = rank + 1, score
    print(rank, name, -score)

import sys
from bisect import bisect_left, insort

shelf, weights, answers = [], [0], []
for line in sys.stdin.readlines()[1:]:
    kind, *rest = line.split()
    if kind == "heaviest":
        answers.append(shelf[-1] if shelf else 0)
        continue
    i = int(rest[0])
    if kind == "add":
        weights.append(i)
        insort(shelf, i)
    elif kind == "take":
        del shelf[bisect_left(shelf, weights[i])]
    else:
        answers.append(bisect_left(shelf, weights[i]))
print("\n".join(map(str, answers)))

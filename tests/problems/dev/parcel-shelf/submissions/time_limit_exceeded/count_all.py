import sys

here, top = {}, []
came = 0
for line in sys.stdin.readlines()[1:]:
    kind, *rest = line.split()
    if kind == "heaviest":
        print(max(here.values(), default=0))
        continue
    i = int(rest[0])
    if kind == "add":
        came += 1
        here[came] = i
    elif kind == "take":
        del here[i]
    else:
        mine = here[i]
        print(sum(1 for w in here.values() if w < mine))

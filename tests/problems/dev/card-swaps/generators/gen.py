import random
import sys

draw = random.Random(1303)


def write(name, cards):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(cards)}\n{' '.join(map(str, cards))}\n")


def shuffled(n):
    cards = list(range(1, n + 1))
    draw.shuffle(cards)
    return cards


write("01-one", [1])
write("02-sorted", list(range(1, 8)))
write("03-last-first", [7, 1, 2, 3, 4, 5, 6])
for i in range(4):
    write(f"0{4 + i}-small", shuffled(6 + i))
write("08-middle", shuffled(1200))
write("09-one-cycle", [*range(2, 20001), 1])
write("10-big", shuffled(20000))
write("11-fixed-start", list(range(1, 12001)) + [c + 12000 for c in shuffled(8000)])
write("12-reversed", list(range(2000, 0, -1)))

import random
import sys

draw = random.Random(2508)


def write(name, stones, shuffle=True):
    if shuffle:
        draw.shuffle(stones)
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(stones)} {sum(stones)}\n{' '.join(map(str, stones))}\n")


write("01-one", [100000])
write("02-pair", [3, 3])
write("03-greedy", [3, 3, 2, 2, 2])
write("04-greedy", [8, 7, 6, 5, 4], False)
write("05-one-large", [50, 3, 4, 9])
write("06-even-odd", [6, 6, 6, 4, 4])
for i in range(3):
    write(f"{7 + i:02}-small", [draw.randint(1, 40) for _ in range(7 + 2 * i)])
write("10-fine", [draw.randint(1, 2000) for _ in range(60)] + [8000, 9000])
write("11-pebbles", [1] * 60000 + [2] * 19999)
write("12-distinct", list(range(1, 440)))
write("13-multiples", [720] * 25 + [1001] * 40 + [13] * 500)
write("14-thirty", [3 * draw.randint(500, 1000) for _ in range(34)] + [1])

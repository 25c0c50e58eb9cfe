import random
import sys

draw = random.Random(3101)


def write(name, profits, boss):
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(profits)}\n{' '.join(map(str, profits))}\n")
        if len(profits) > 1:
            file.write(" ".join(str(boss(i)) for i in range(2, len(profits) + 1)) + "\n")


chance = lambda i: draw.randrange(1, i)
write("01-one", [-7], None)
write("02-losses", [-3, -1, -2, -9], lambda i: 1)
write("03-tie", [0, 0, 5, 5, -5], lambda i: [0, 0, 1, 2, 2, 1][i])
write("04-all-zero", [0] * 6, lambda i: i // 2)
write("05-small", [draw.randint(-9, 9) for _ in range(12)], chance)
write("06-rich", [10**9] * 400, chance)
write("07-poor", [-10**9] * 300 + [-999999999], lambda i: i - 1 if i < 301 else 300)
write("08-chain", [1 + i % 3 for i in range(50000)], lambda i: i - 1)
write("09-comb", [(-1) ** i * (i % 10) for i in range(6000)], lambda i: max(1, i - 2))
write("10-random", [draw.randint(-99, 99) for _ in range(6000)], chance)
write("11-chain-of-losses", [-1] * 1200 + [100], lambda i: i - 1)

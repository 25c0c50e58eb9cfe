import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    kinds, amount, top = rng.randint(1, 4), rng.randint(0, 20), 12
elif mode == "random":
    kinds, amount, top = rng.randint(2, 20), rng.randint(100, 10000), 500
elif mode == "boundary":
    kinds, amount, top = rng.randint(1, 3), rng.choice([0, 1, 10000]), 10000
else:
    kinds, amount, top = 2, 10000, 3
coins = [rng.randint(1, top) for _ in range(kinds)]
if mode == "worst":
    coins = [1, 2] if seed % 2 else [3, 7]
print(kinds, amount)
print(*coins)

import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    n, d, top = rng.randint(1, 6), rng.randint(0, 4), 8
elif mode == "random":
    n, d, top = rng.randint(50, 200), rng.randint(0, 1000), 5000
elif mode == "boundary":
    n, d, top = rng.randint(2, 30), rng.choice([0, 500000]), 500000
else:
    n, d, top = 200000, 500000, 500000
numbers = [rng.randint(0, top) for _ in range(n)]
if mode == "boundary":
    numbers[0], numbers[-1] = 0, 500000
print(n, d)
print(*numbers)

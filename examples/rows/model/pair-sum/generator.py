import random
import sys

mode, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(f"{mode} {seed}")


if mode == "small":
    n, top = rng.randint(1, 6), 5
elif mode == "random":
    n, top = rng.randint(20, 100), 1000
elif mode == "boundary":
    n, top = rng.randint(2, 5), 2 * 10**9
else:
    n, top = 100000, 2 * 10**9
numbers = [rng.randint(-top, top) for _ in range(n)]
wanted = rng.choice([numbers[0] + numbers[-1], 2 * numbers[0], rng.randint(-2 * top, 2 * top)])
if mode == "boundary":
    numbers = [top, top, -top][: max(2, n)]
    n, wanted = len(numbers), 2 * top
if mode == "worst":
    numbers = [2 * x for x in range(n)]
    wanted = 1
print(n, wanted)
print(*numbers)

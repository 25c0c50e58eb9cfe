import random
import sys

draw = random.Random(2104)
cases = {
    "01-two": [2],
    "02-all-twos": [2] * 59,
    "03-same-prime": [999999937, 999999937],
    "04-two-primes": [999999937, 999999929],
    "05-middle-primes": [10007 * 10009, 30011 * 29989],
    "06-square-middle": [10007**2, 3],
    "07-highly-composite": [735134400, 698377680],
    "08-shared": [6, 10, 15, 21, 35, 14, 6],
    "09-mixed": [1000003, 2, 2, 3, 1000003],
    "10-one-prime": [899999963],
    "11-large-prime-twice": [1000003, 999979],
    "12-million": [10**6, 10**6, 10**6],
}
cases["13-random"] = [draw.randint(2, 30) for _ in range(12)]
for name, numbers in cases.items():
    with open(f"{sys.argv[1]}/{name}.in", "w") as file:
        file.write(f"{len(numbers)}\n{' '.join(map(str, numbers))}\n")

from math import isqrt


def prime(x):
    if x < 4:
        return x > 1
    return x % 2 and all(x % i for i in range(3, isqrt(x) + 1, 2))


for _ in range(int(input())):
    print("yes" if prime(int(input())) else "no")

"""Forgets that what is left may be the square of a prime."""
from math import prod

input()
rest = prod(map(int, input().split()))
count, p = 1, 2
while p <= 10**6 and p * p <= rest:
    k = 1
    while rest % p == 0:
        rest //= p
        k += 1
    count *= k
    p += 1 if p == 2 else 2
if rest > 1:
    count *= 2 if rest < 10**12 or pow(2, rest - 1, rest) == 1 else 4
print(count)

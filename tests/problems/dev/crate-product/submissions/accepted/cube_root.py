"""Divides the product by primes up to its cube root; what is left is 1, p, p*p or p*q."""
from math import isqrt, prod

input()
rest = prod(map(int, input().split()))
sieve = bytearray([1]) * (10**6 + 1)
for p in range(2, 1001):
    if sieve[p]:
        sieve[p * p::p] = bytes(len(sieve[p * p::p]))
count = 1
p = 2
while p <= 10**6 and p * p * p <= rest:
    if sieve[p]:
        k = 1
        while rest % p == 0:
            rest //= p
            k += 1
        count *= k
    p += 1


def is_prime(n):
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if n % base == 0:
            return n == base
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd //= 2
        twos += 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


if rest > 1:
    if is_prime(rest):
        count *= 2
    elif isqrt(rest) ** 2 == rest:
        count *= 3
    else:
        count *= 4
print(count)

# Wrong: takes 1 for a prime.
from math import isqrt

for _ in range(int(input())):
    x = int(input())
    prime = x > 0 and all(x % i for i in range(2, isqrt(x) + 1))
    print("yes" if prime else "no")

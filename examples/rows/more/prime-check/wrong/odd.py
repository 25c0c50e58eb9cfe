# Wrong: divides by odd numbers only and forgets that 2 is even and prime.
from math import isqrt

for _ in range(int(input())):
    x = int(input())
    prime = x > 1 and x % 2 == 1 and all(x % i for i in range(3, isqrt(x) + 1, 2))
    print("yes" if prime else "no")

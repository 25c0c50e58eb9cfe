"""Multiplies as a float."""
input()
product = 1.0
for word in input().split():
    product *= float(word)
rest = int(product)
count, p = 1, 2
while p < 1000100 and p * p <= rest:
    k = 1
    while rest % p == 0:
        rest //= p
        k += 1
    count *= k
    p += 1 if p == 2 else 2
if rest > 10**12:
    from math import isqrt
    count *= 3 if isqrt(rest) ** 2 == rest else 4
elif rest > 1:
    count *= 2
print(count)

"""Divides by everything up to the number itself."""
input()
power = {}
for a in map(int, input().split()):
    p = 2
    while a > 1:
        while a % p == 0:
            a //= p
            power[p] = power.get(p, 0) + 1
        p += 1
count = 1
for k in power.values():
    count *= k + 1
print(count)

"""Keeps every weight once."""
n, m = map(int, input().split())
can = 1
for w in set(map(int, input().split())):
    can |= can << w
half = can & ((1 << (m // 2 + 1)) - 1)
print(m - 2 * (half.bit_length() - 1))

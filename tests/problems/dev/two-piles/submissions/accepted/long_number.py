from collections import Counter

n, m = map(int, input().split())
count = Counter(map(int, input().split()))
can = 1
for w, k in count.items():
    part = 1
    while k:
        part = min(part, k)
        can |= can << (w * part)
        k -= part
        part *= 2
half = can & ((1 << (m // 2 + 1)) - 1)
print(m - 2 * (half.bit_length() - 1))

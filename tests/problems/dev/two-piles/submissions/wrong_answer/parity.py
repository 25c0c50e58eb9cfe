"""With four stones or more it can always be done as evenly as parity allows."""
n, m = map(int, input().split())
stones = list(map(int, input().split()))
if n >= 4 and max(stones) <= m - max(stones):
    print(m % 2)
else:
    sums = {0}
    if n > 12:
        print(max(m % 2, 2 * max(stones) - m))
    else:
        for w in stones:
            sums |= {s + w for s in sums}
        print(min(abs(m - 2 * s) for s in sums))

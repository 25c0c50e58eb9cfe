# Wrong: recurses once per coin; many small coins exceed the recursion limit.
from functools import lru_cache

n, amount = map(int, input().split())
coins = set(map(int, input().split()))


@lru_cache(maxsize=None)
def fewest(rest):
    if rest == 0:
        return 0
    return min(
        (1 + fewest(rest - coin) for coin in coins if coin <= rest),
        default=float("inf"),
    )


answer = fewest(amount)
print(answer if answer < float("inf") else -1)

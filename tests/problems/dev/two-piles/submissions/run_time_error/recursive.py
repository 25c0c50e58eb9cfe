from functools import cache

n, m = map(int, input().split())
stones = list(map(int, input().split()))


@cache
def best(i, room):
    if i == n or room == 0:
        return 0
    most = best(i + 1, room)
    if stones[i] <= room:
        most = max(most, stones[i] + best(i + 1, room - stones[i]))
    return most


print(m - 2 * best(0, m // 2))

# Wrong: believes that no piece can be longer than the shortest rope.
n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
good, bad = 0, min(ropes) + 1
while bad - good > 1:
    length = (good + bad) // 2
    if sum(rope // length for rope in ropes) >= pieces:
        good = length
    else:
        bad = length
print(good)

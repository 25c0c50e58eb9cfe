# Wrong: never tries the full length of the longest rope.
n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
good, bad = 0, max(ropes)
while bad - good > 1:
    length = (good + bad) // 2
    if sum(rope // length for rope in ropes) >= pieces:
        good = length
    else:
        bad = length
print(good)

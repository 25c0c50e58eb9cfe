# Wrong: tries pieces of length 0 if there is not enough rope.
n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
low, high, best = 0, max(ropes), 0
while low <= high:
    length = (low + high) // 2
    if sum(rope // length for rope in ropes) >= pieces:
        best, low = length, length + 1
    else:
        high = length - 1
print(best)

# Wrong: halves the length as a float and stops when it is near.
n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
low, high = 0.5, max(ropes) + 0.5
for _ in range(20):
    middle = (low + high) / 2
    if sum(int(rope / middle) for rope in ropes) >= pieces:
        low = middle
    else:
        high = middle
print(int(low))

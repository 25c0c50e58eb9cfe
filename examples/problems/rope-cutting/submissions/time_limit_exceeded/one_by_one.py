# Wrong: tries all lengths one by one, starting with the longest rope.
n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
length = max(ropes)
while length and sum(rope // length for rope in ropes) < pieces:
    length -= 1
print(length)

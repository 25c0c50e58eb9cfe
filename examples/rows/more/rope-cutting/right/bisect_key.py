from bisect import bisect

n, pieces = map(int, input().split())
ropes = list(map(int, input().split()))
lengths = range(1, max(ropes) + 1)
print(bisect(lengths, -pieces, key=lambda length: -sum(rope // length for rope in ropes)))

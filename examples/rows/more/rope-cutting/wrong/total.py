# Wrong: joins all ropes into one.
n, pieces = map(int, input().split())
print(sum(map(int, input().split())) // pieces)

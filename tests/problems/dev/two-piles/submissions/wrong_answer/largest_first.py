"""The next stone, the heaviest first, to the lighter pile."""
input()
a = b = 0
for w in sorted(map(int, input().split()), reverse=True):
    if a <= b:
        a += w
    else:
        b += w
print(abs(a - b))

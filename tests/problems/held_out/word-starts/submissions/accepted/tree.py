"""A tree of letters, in a dictionary."""
import sys

words = sys.stdin.read().split()[1:]
words.sort(key=len)
steps, ends, pairs = {}, {}, 0
for word in words:
    node = 0
    for letter in word:
        node = steps.setdefault((node, letter), len(steps) + 1)
        pairs += ends.get(node, 0)
    ends[node] = 1
print(pairs)

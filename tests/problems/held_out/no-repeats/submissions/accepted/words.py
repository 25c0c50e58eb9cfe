"""The numbers are never read as numbers."""
import sys

lines = sys.stdin.read().split("\n")
for line in lines[2::2]:
    place, start, best = {}, 0, 0
    for i, word in enumerate(line.split(), 1):
        start = max(start, place.get(word, 0))
        place[word] = i
        best = max(best, i - start)
    if line:
        print(best)

from itertools import groupby

best, letter = 0, ""
for char, group in groupby(input()):
    length = sum(1 for _ in group)
    if length > best:
        best, letter = length, char
print(letter, best)

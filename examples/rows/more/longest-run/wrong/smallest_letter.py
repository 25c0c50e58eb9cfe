# Wrong: of several longest runs it takes the one whose letter is smallest.
from itertools import groupby

runs = [(-len(list(group)), char) for char, group in groupby(input())]
length, letter = min(runs)
print(letter, -length)

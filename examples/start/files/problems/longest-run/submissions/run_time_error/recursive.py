# Wrong: recurses once per letter; a long word exceeds the recursion limit.
word = input()


def runs(i, length):
    if i == len(word):
        return []
    length = length + 1 if i and word[i] == word[i - 1] else 1
    return [(length, -i + length - 1)] + runs(i + 1, length)


best, start = max(runs(0, 0))
print(word[-start], best)

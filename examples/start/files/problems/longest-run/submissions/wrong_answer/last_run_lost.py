# Wrong: a run is only counted when another letter follows it.
word = input()
best, letter, start = 1, word[0], 0
for i in range(1, len(word)):
    if word[i] != word[start]:
        if i - start > best:
            best, letter = i - start, word[start]
        start = i
print(letter, best)

# Wrong: cuts every run into pieces; quadratic on a word of one letter.
word = input()
best, letter = 0, ""
for i in range(len(word)):
    j = i
    while j < len(word) and word[j] == word[i]:
        j += 1
    if j - i > best:
        best, letter = j - i, word[i]
print(letter, best)

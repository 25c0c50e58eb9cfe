# Wrong: counts how often a letter occurs anywhere, not in one run.
word = input()
letter = max(dict.fromkeys(word), key=word.count)
print(letter, word.count(letter))

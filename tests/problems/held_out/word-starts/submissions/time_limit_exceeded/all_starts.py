"""Cuts every start of every word, as letters: quadratic in the length of a word."""
import sys

words = list(map(tuple, sys.stdin.read().split()[1:]))
known = set(words)
print(sum(word[:i] in known for word in words for i in range(1, len(word))))

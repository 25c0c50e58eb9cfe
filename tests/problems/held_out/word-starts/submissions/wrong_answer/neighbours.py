"""Looks at words that stand beside each other in the dictionary."""
import sys

words = sorted(sys.stdin.read().split()[1:])
print(sum(b.startswith(a) for a, b in zip(words, words[1:])))

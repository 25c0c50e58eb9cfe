"""Accepts any correct pair; checks 'none' itself.

Usage: validate.py input_file answer_file feedback_dir < output
The answer file is not needed.
"""
import os
import re
import sys


def finish(code, message):
    try:
        path = os.path.join(sys.argv[3], "judgemessage.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(message + "\n")
    except (IndexError, OSError):
        pass
    sys.exit(code)


def pair_exists(numbers, wanted):
    seen = set()
    for x in numbers:
        if wanted - x in seen:
            return True
        seen.add(x)
    return False


with open(sys.argv[1], "rb") as source:
    n, wanted, *numbers = map(int, source.read().split())
tokens = sys.stdin.buffer.read().split()

if tokens == [b"none"]:
    if pair_exists(numbers, wanted):
        finish(43, "there is a pair")
    finish(42, "no pair indeed")
position = re.compile(rb"[1-9][0-9]{0,5}")
if len(tokens) != 2 or not all(map(position.fullmatch, tokens)):
    finish(43, "neither 'none' nor two positions")
i, j = map(int, tokens)
if i == j or max(i, j) > n:
    finish(43, "positions are equal or do not exist")
if numbers[i - 1] + numbers[j - 1] != wanted:
    finish(43, f"entries {i} and {j} do not add up to {wanted}")
finish(42, "correct pair")

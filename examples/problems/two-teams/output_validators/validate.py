"""Accepts any correct split; checks 'impossible' itself.

Usage: validate.py input_file answer_file feedback_dir < output
The answer file is not needed.
"""
import os
import sys


def finish(code, message):
    try:
        path = os.path.join(sys.argv[3], "judgemessage.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(message + "\n")
    except (IndexError, OSError):
        pass
    sys.exit(code)


def can_split(n, quarrels):
    others = [[] for _ in range(n + 1)]
    for u, v in quarrels:
        others[u].append(v)
        others[v].append(u)
    team = [0] * (n + 1)
    for first in range(1, n + 1):
        if team[first]:
            continue
        team[first] = 1
        stack = [first]
        while stack:
            u = stack.pop()
            for v in others[u]:
                if team[v] == team[u]:
                    return False
                if not team[v]:
                    team[v] = 3 - team[u]
                    stack.append(v)
    return True


with open(sys.argv[1], "rb") as source:
    n, _, *numbers = map(int, source.read().split())
quarrels = list(zip(numbers[::2], numbers[1::2]))
tokens = sys.stdin.buffer.read().split()

if tokens == [b"impossible"]:
    if can_split(n, quarrels):
        finish(43, "there is a split")
    finish(42, "impossible indeed")
if len(tokens) != n:
    finish(43, f"{n} numbers expected, {len(tokens)} words found")
if not set(tokens) <= {b"1", b"2"}:
    finish(43, "a word is neither 1 nor 2")
for u, v in quarrels:
    if tokens[u - 1] == tokens[v - 1]:
        finish(43, f"{u} and {v} are in the same team")
finish(42, "correct split")

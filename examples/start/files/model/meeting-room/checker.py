"""Accepts any largest selection; finds the largest size itself.

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


def largest(requests):
    size = free = 0
    for end, start in sorted((b, a) for a, b in requests):
        if start >= free:
            size += 1
            free = end
    return size


with open(sys.argv[1], "rb") as source:
    n, *numbers = map(int, source.read().split())
requests = list(zip(numbers[::2], numbers[1::2]))
tokens = sys.stdin.buffer.read().split()

number = re.compile(rb"[1-9][0-9]{0,5}")
if not tokens or not all(map(number.fullmatch, tokens)):
    finish(43, "something that is not a positive number")
size, *chosen = map(int, tokens)
if size != len(chosen):
    finish(43, f"{size} requests announced, {len(chosen)} listed")
if len(set(chosen)) != size or max(chosen) > n:
    finish(43, "a request is listed twice or does not exist")
free = 0
for start, end in sorted(requests[i - 1] for i in chosen):
    if start < free:
        finish(43, f"two requests want the room at time {start}")
    free = end
best = largest(requests)
if size < best:
    finish(43, f"{size} granted, {best} possible")
finish(42, f"{size} granted")

"""Goes through bookings and questions together, from left to right."""
import sys

n, q, *numbers = map(int, sys.stdin.buffer.read().split())
bookings = sorted((numbers[2 * i], numbers[2 * i + 1], i + 1) for i in range(n))
asked = numbers[2 * n:]
answers = [None] * q
j = 0
for k in sorted(range(q), key=asked.__getitem__):
    while j < n and bookings[j][1] < asked[k]:
        j += 1
    if j < n and bookings[j][0] <= asked[k]:
        a, b, i = bookings[j]
        answers[k] = f"{i} {b - a + 1}"
    else:
        answers[k] = "free"
print("\n".join(answers))

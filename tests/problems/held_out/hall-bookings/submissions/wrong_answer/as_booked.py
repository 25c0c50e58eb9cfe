"""Takes it that bookings are made in order, but for one that lies wrong here and there."""
import sys
from bisect import bisect_right

n, q, *numbers = map(int, sys.stdin.buffer.read().split())
bookings = [(numbers[2 * i], numbers[2 * i + 1], i + 1) for i in range(n)]
for i in range(1, n):
    if bookings[i] < bookings[i - 1]:
        bookings[i], bookings[i - 1] = bookings[i - 1], bookings[i]
starts = [b[0] for b in bookings]
for x in numbers[2 * n:]:
    i = bisect_right(starts, x) - 1
    if i >= 0 and bookings[i][0] <= x <= bookings[i][1]:
        print(bookings[i][2], bookings[i][1] - bookings[i][0] + 1)
    else:
        print("free")

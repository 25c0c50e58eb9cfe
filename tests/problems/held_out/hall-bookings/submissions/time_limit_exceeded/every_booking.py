import sys

n, q, *numbers = map(int, sys.stdin.buffer.read().split())
bookings = [(numbers[2 * i], numbers[2 * i + 1]) for i in range(n)]
for x in numbers[2 * n:]:
    for i, (a, b) in enumerate(bookings, 1):
        if a <= x <= b:
            print(i, b - a + 1)
            break
    else:
        print("free")

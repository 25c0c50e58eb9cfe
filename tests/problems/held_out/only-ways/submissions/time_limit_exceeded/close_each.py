import sys

n, m, *numbers = map(int, sys.stdin.buffer.read().split())
near = [set() for _ in range(n + 1)]
streets = list(zip(numbers[::2], numbers[1::2]))
for u, v in streets:
    near[u].add(v)
    near[v].add(u)
count = 0
for u, v in streets:
    near[u].remove(v)
    near[v].remove(u)
    seen, stack = {u}, [u]
    while stack and v not in seen:
        for w in near[stack.pop()]:
            if w not in seen:
                seen.add(w)
                stack.append(w)
    count += v not in seen
    near[u].add(v)
    near[v].add(u)
print(count)

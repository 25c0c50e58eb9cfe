import sys


def main():
    n, m, *numbers = map(int, sys.stdin.buffer.read().split())
    edges = list(zip(numbers[2::3], range(m), numbers[::3], numbers[1::3]))
    part = list(range(n + 1))
    parts, total = n, 0
    while parts > 1:
        best = {}
        kept = []
        for edge in edges:
            a, b = part[edge[2]], part[edge[3]]
            if a != b:
                kept.append(edge)
                if a not in best or edge < best[a]:
                    best[a] = edge
                if b not in best or edge < best[b]:
                    best[b] = edge
        edges = kept
        near = {p: [] for p in best}
        for w, i, u, v in set(best.values()):
            total += w
            parts -= 1
            near[part[u]].append(part[v])
            near[part[v]].append(part[u])
        new = {}
        for p in near:
            if p not in new:
                new[p] = p
                stack = [p]
                while stack:
                    for q in near[stack.pop()]:
                        if q not in new:
                            new[q] = p
                            stack.append(q)
        part = [new.get(p, p) for p in part]
    print(total)


main()

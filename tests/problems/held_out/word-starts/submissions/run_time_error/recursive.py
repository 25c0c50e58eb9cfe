import sys

sys.setrecursionlimit(5000)
words = sys.stdin.read().split()[1:]
tree = {}


def put(node, word, at, above):
    if at == len(word):
        node["end"] = 1
        return above
    above += node.get("end", 0)
    return put(node.setdefault(word[at], {}), word, at + 1, above)


print(sum(put(tree, word, 0, 0) for word in sorted(words, key=len)))

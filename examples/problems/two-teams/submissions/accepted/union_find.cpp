// Joins "u in team 1" (node u) with "v in team 2" (node n + v).
#include <cstdio>
#include <vector>

static std::vector<int> parent;

static int find(int x) {
    while (parent[x] != x) {
        x = parent[x] = parent[parent[x]];
    }
    return x;
}

int main() {
    int n, m, u, v;
    std::scanf("%d %d", &n, &m);
    parent.resize(2 * n);
    for (int i = 0; i < 2 * n; ++i) {
        parent[i] = i;
    }
    while (m-- > 0) {
        std::scanf("%d %d", &u, &v);
        --u;
        --v;
        parent[find(u)] = find(n + v);
        parent[find(v)] = find(n + u);
    }
    for (int i = 0; i < n; ++i) {
        if (find(i) == find(n + i)) {
            std::puts("impossible");
            return 0;
        }
    }
    // Of the two mirrored parts of a component the first one met is "true".
    std::vector<int> truth(2 * n, -1);
    for (int i = 0; i < n; ++i) {
        const int a = find(i), b = find(n + i);
        if (truth[a] < 0) {
            truth[a] = 1;
            truth[b] = 0;
        }
        std::printf("%d%c", truth[a] ? 1 : 2, i + 1 < n ? ' ' : '\n');
    }
}

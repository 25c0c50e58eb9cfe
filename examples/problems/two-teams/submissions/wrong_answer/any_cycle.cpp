// Wrong: takes every cycle for an odd one.
#include <cstdio>
#include <vector>

static std::vector<int> parent;
static std::vector<std::vector<int>> others;
static std::vector<int> team;

static int find(int x) {
    while (parent[x] != x) {
        x = parent[x] = parent[parent[x]];
    }
    return x;
}

int main() {
    int n, m, u, v;
    std::scanf("%d %d", &n, &m);
    parent.resize(n + 1);
    others.resize(n + 1);
    team.resize(n + 1);
    for (int i = 1; i <= n; ++i) {
        parent[i] = i;
    }
    while (m-- > 0) {
        std::scanf("%d %d", &u, &v);
        if (find(u) == find(v)) {
            std::puts("impossible");
            return 0;
        }
        parent[find(u)] = find(v);
        others[u].push_back(v);
        others[v].push_back(u);
    }
    for (int i = 1; i <= n; ++i) {
        std::vector<int> stack;
        if (team[i] == 0) {
            team[i] = 1;
            stack.push_back(i);
        }
        while (!stack.empty()) {
            const int x = stack.back();
            stack.pop_back();
            for (const int y : others[x]) {
                if (team[y] == 0) {
                    team[y] = 3 - team[x];
                    stack.push_back(y);
                }
            }
        }
    }
    for (int i = 1; i <= n; ++i) {
        std::printf("%d%c", team[i], i < n ? ' ' : '\n');
    }
}

// Wrong: places members in order of their numbers and never revises a choice.
#include <cstdio>
#include <vector>

int main() {
    int n, m, u, v;
    std::scanf("%d %d", &n, &m);
    std::vector<std::vector<int>> others(n + 1);
    while (m-- > 0) {
        std::scanf("%d %d", &u, &v);
        others[u].push_back(v);
        others[v].push_back(u);
    }
    std::vector<int> team(n + 1);
    for (int i = 1; i <= n; ++i) {
        bool taken[3] = {false, false, false};
        for (const int other : others[i]) {
            taken[team[other]] = true;
        }
        if (taken[1] && taken[2]) {
            std::puts("impossible");
            return 0;
        }
        team[i] = taken[1] ? 2 : 1;
    }
    for (int i = 1; i <= n; ++i) {
        std::printf("%d%c", team[i], i < n ? ' ' : '\n');
    }
}

// Wrong: keeps the cost of a trip in 32 bits.
#include <cstdio>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

int main() {
    int n, m, u, v, w;
    std::scanf("%d %d", &n, &m);
    std::vector<std::vector<std::pair<int, int>>> roads(n + 1);
    while (m-- > 0) {
        std::scanf("%d %d %d", &u, &v, &w);
        roads[u].emplace_back(v, w);
        roads[v].emplace_back(u, w);
    }
    using Item = std::pair<int, int>;
    std::priority_queue<Item, std::vector<Item>, std::greater<Item>> open;
    std::vector<bool> done(n + 1);
    int answer = -1;
    open.emplace(0, 1);
    while (!open.empty()) {
        const auto [now, town] = open.top();
        open.pop();
        if (done[town]) {
            continue;
        }
        done[town] = true;
        if (town == n) {
            answer = now;
        }
        for (const auto& [other, toll] : roads[town]) {
            const long long next = static_cast<long long>(now) + toll;
            open.emplace(static_cast<int>(next), other);
        }
    }
    std::printf("%d\n", answer);
}

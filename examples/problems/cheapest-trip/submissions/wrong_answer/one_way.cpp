// Wrong: a road is entered in one direction only.
#include <cstdio>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

int main() {
    int n, m, u, v;
    long long w;
    std::scanf("%d %d", &n, &m);
    std::vector<std::vector<std::pair<int, long long>>> roads(n + 1);
    while (m-- > 0) {
        std::scanf("%d %d %lld", &u, &v, &w);
        roads[u].emplace_back(v, w);
    }
    using Item = std::pair<long long, int>;
    std::priority_queue<Item, std::vector<Item>, std::greater<Item>> open;
    std::vector<long long> cost(n + 1, -1);
    open.emplace(0, 1);
    while (!open.empty()) {
        const auto [now, town] = open.top();
        open.pop();
        if (cost[town] >= 0) {
            continue;
        }
        cost[town] = now;
        for (const auto& [other, toll] : roads[town]) {
            open.emplace(now + toll, other);
        }
    }
    std::printf("%lld\n", cost[n]);
}

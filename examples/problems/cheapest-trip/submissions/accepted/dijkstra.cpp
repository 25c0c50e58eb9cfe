#include <cstdio>
#include <set>
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
        roads[v].emplace_back(u, w);
    }
    std::vector<long long> cost(n + 1, -1);
    std::set<std::pair<long long, int>> open{{0, 1}};
    cost[1] = 0;
    while (!open.empty()) {
        const int town = open.begin()->second;
        open.erase(open.begin());
        for (const auto& [other, toll] : roads[town]) {
            const long long next = cost[town] + toll;
            if (cost[other] < 0 || next < cost[other]) {
                open.erase({cost[other], other});
                cost[other] = next;
                open.insert({next, other});
            }
        }
    }
    std::printf("%lld\n", cost[n]);
}

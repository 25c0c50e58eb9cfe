// Goes back in time: the request that starts last is always a good choice.
#include <algorithm>
#include <cstdio>
#include <tuple>
#include <vector>

int main() {
    int n, a, b;
    std::scanf("%d", &n);
    std::vector<std::tuple<int, int, int>> requests;
    for (int i = 1; i <= n; ++i) {
        std::scanf("%d %d", &a, &b);
        requests.emplace_back(a, b, i);
    }
    std::sort(requests.rbegin(), requests.rend());
    std::vector<int> chosen;
    int free_until = 1000000000;
    for (const auto& [start, end, i] : requests) {
        if (end <= free_until) {
            chosen.push_back(i);
            free_until = start;
        }
    }
    std::printf("%zu\n", chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
        std::printf("%d%c", chosen[i], i + 1 < chosen.size() ? ' ' : '\n');
    }
}

// Wrong: grants the shortest request that still fits, though it may stand in
// the way of two longer ones.
#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>
#include <vector>

int main() {
    int n, a, b;
    std::scanf("%d", &n);
    std::vector<std::tuple<int, int, int, int>> requests;
    for (int i = 1; i <= n; ++i) {
        std::scanf("%d %d", &a, &b);
        requests.emplace_back(b - a, b, a, i);
    }
    std::sort(requests.begin(), requests.end());
    std::map<int, int> busy;  // end to start
    std::vector<int> chosen;
    for (const auto& [length, end, start, i] : requests) {
        const auto next = busy.upper_bound(start);
        if (next == busy.end() || next->second >= end) {
            busy[end] = start;
            chosen.push_back(i);
        }
    }
    std::printf("%zu\n", chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
        std::printf("%d%c", chosen[i], i + 1 < chosen.size() ? ' ' : '\n');
    }
}

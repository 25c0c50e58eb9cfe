// Wrong: numbers the requests from 0.
#include <algorithm>
#include <cstdio>
#include <tuple>
#include <vector>

int main() {
    int n, a, b;
    std::scanf("%d", &n);
    std::vector<std::tuple<int, int, int>> requests;
    for (int i = 0; i < n; ++i) {
        std::scanf("%d %d", &a, &b);
        requests.emplace_back(b, a, i);
    }
    std::sort(requests.begin(), requests.end());
    std::vector<int> chosen;
    int free = 0;
    for (auto [end, start, i] : requests) {
        if (start >= free) {
            chosen.push_back(i);
            free = end;
        }
    }
    std::printf("%zu\n", chosen.size());
    for (int i : chosen) std::printf("%d ", i);
    std::puts("");
}

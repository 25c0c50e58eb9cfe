// Wrong: prints the number of requests, and not which.
#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

int main() {
    int n, a, b;
    std::scanf("%d", &n);
    std::vector<std::pair<int, int>> requests;
    for (int i = 0; i < n; ++i) {
        std::scanf("%d %d", &a, &b);
        requests.emplace_back(b, a);
    }
    std::sort(requests.begin(), requests.end());
    int free = 0, count = 0;
    for (auto [end, start] : requests) {
        if (start >= free) {
            ++count;
            free = end;
        }
    }
    std::printf("%d\n", count);
}

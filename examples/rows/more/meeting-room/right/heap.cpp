#include <functional>
#include <iostream>
#include <queue>
#include <tuple>
#include <vector>

int main() {
    int n;
    std::cin >> n;
    std::priority_queue<std::tuple<int, int, int>, std::vector<std::tuple<int, int, int>>, std::greater<>> byEnd;
    for (int i = 1, a, b; i <= n; ++i) {
        std::cin >> a >> b;
        byEnd.emplace(b, a, i);
    }
    std::vector<int> chosen;
    int free = 0;
    for (; !byEnd.empty(); byEnd.pop()) {
        auto [end, start, i] = byEnd.top();
        if (start >= free) {
            chosen.push_back(i);
            free = end;
        }
    }
    std::cout << chosen.size() << "\n";
    for (int i : chosen) std::cout << i << " ";
    std::cout << "\n";
}

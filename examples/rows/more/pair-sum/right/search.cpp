#include <iostream>
#include <unordered_map>
#include <vector>

int main() {
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    int n;
    long long wanted, x;
    std::cin >> n >> wanted;
    std::unordered_map<long long, int> seen;
    seen.reserve(2 * n);
    for (int i = 1; i <= n; ++i) {
        std::cin >> x;
        auto found = seen.find(wanted - x);
        if (found != seen.end()) {
            std::cout << i << ' ' << found->second << "\n";
            return 0;
        }
        seen[x] = i;
    }
    std::cout << "none\n";
}

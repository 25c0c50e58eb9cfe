#include <algorithm>
#include <iostream>
#include <vector>

int main() {
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    int n, d;
    std::cin >> n >> d;
    std::vector<int> numbers(n);
    for (int& x : numbers) std::cin >> x;
    std::sort(numbers.begin(), numbers.end());
    long long pairs = 0;
    for (auto it = numbers.begin(); it != numbers.end(); ++it) {
        pairs += std::upper_bound(it, numbers.end(), *it + d) - it - 1;
    }
    std::cout << pairs << "\n";
}

#include <algorithm>
#include <iostream>
#include <vector>

int main() {
    long long n, pieces;
    std::cin >> n >> pieces;
    std::vector<long long> ropes(n);
    for (auto& rope : ropes) std::cin >> rope;
    long long low = 1, high = *std::max_element(ropes.begin(), ropes.end()), best = 0;
    while (low <= high) {
        long long middle = (low + high) / 2, count = 0;
        for (auto rope : ropes) count += rope / middle;
        if (count >= pieces) {
            best = middle;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    std::cout << best << "\n";
}

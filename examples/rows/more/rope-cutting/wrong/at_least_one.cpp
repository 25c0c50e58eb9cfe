// Wrong: never answers 0.
#include <cstdio>
#include <vector>

int main() {
    int n;
    long long pieces;
    std::scanf("%d %lld", &n, &pieces);
    std::vector<long long> ropes(n);
    for (auto& rope : ropes) std::scanf("%lld", &rope);
    long long low = 1, high = 1000000000;
    while (low < high) {
        long long middle = (low + high + 1) / 2, count = 0;
        for (auto rope : ropes) count += rope / middle;
        if (count >= pieces) low = middle; else high = middle - 1;
    }
    std::printf("%lld\n", low);
}

// Wrong: keeps the numbers of pieces in 32 bits.
#include <cstdio>
#include <vector>

int main() {
    int n;
    long long wanted;
    std::scanf("%d %lld", &n, &wanted);
    const int pieces = static_cast<int>(wanted);
    std::vector<int> ropes(n);
    for (int& rope : ropes) {
        std::scanf("%d", &rope);
    }
    int good = 0, bad = 1000000001;
    while (bad - good > 1) {
        const int length = good + (bad - good) / 2;
        int count = 0;
        for (const int rope : ropes) {
            count = static_cast<int>(static_cast<long long>(count) + rope / length);
        }
        if (count >= pieces) {
            good = length;
        } else {
            bad = length;
        }
    }
    std::printf("%d\n", good);
}

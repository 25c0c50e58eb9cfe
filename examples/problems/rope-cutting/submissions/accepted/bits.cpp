// Builds the answer bit by bit, from the highest one down.
#include <cstdio>
#include <vector>

int main() {
    int n;
    long long pieces;
    std::scanf("%d %lld", &n, &pieces);
    std::vector<long long> ropes(n);
    for (long long& rope : ropes) {
        std::scanf("%lld", &rope);
    }
    long long answer = 0;
    for (long long bit = 1LL << 30; bit > 0; bit /= 2) {
        long long count = 0;
        for (const long long rope : ropes) {
            count += rope / (answer + bit);
        }
        if (count >= pieces) {
            answer += bit;
        }
    }
    std::printf("%lld\n", answer);
}

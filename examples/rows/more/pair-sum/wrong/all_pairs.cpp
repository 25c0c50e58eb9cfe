// Wrong: looks at all pairs; quadratic where there is none.
#include <cstdio>
#include <vector>

int main() {
    int n;
    long long wanted;
    std::scanf("%d %lld", &n, &wanted);
    std::vector<long long> numbers(n);
    for (auto& x : numbers) std::scanf("%lld", &x);
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < i; ++j) {
            if (numbers[i] + numbers[j] == wanted) {
                std::printf("%d %d\n", j + 1, i + 1);
                return 0;
            }
        }
    }
    std::puts("none");
}

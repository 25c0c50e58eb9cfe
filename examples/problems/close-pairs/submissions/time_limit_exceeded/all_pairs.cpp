// Wrong: looks at every pair, which is quadratic.
#include <cstdio>
#include <cstdlib>
#include <vector>

int main() {
    int n, d;
    std::scanf("%d %d", &n, &d);
    std::vector<int> numbers(n);
    for (int& x : numbers) {
        std::scanf("%d", &x);
    }
    long long pairs = 0;
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < i; ++j) {
            if (std::abs(numbers[i] - numbers[j]) <= d) {
                ++pairs;
            }
        }
    }
    std::printf("%lld\n", pairs);
}

// Wrong: counts a difference below d, not one of exactly d.
#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    int n, d;
    std::scanf("%d %d", &n, &d);
    std::vector<int> numbers(n);
    for (int& x : numbers) {
        std::scanf("%d", &x);
    }
    std::sort(numbers.begin(), numbers.end());
    long long pairs = 0;
    int first = 0;
    for (int i = 0; i < n; ++i) {
        while (first < i && numbers[i] - numbers[first] >= d) {
            ++first;
        }
        pairs += i - first;
    }
    std::printf("%lld\n", pairs);
}

// Wrong: counts the pairs in 32 bits.
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
    int pairs = 0, first = 0;
    for (int i = 0; i < n; ++i) {
        while (numbers[i] - numbers[first] > d) {
            ++first;
        }
        pairs = static_cast<int>(static_cast<long long>(pairs) + i - first);
    }
    std::printf("%d\n", pairs);
}

// Wrong: prints positions in the sorted list.
#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
    int n;
    long long wanted;
    std::scanf("%d %lld", &n, &wanted);
    std::vector<long long> numbers(n);
    for (long long& x : numbers) {
        std::scanf("%lld", &x);
    }
    std::sort(numbers.begin(), numbers.end());
    int low = 0, high = n - 1;
    while (low < high && numbers[low] + numbers[high] != wanted) {
        if (numbers[low] + numbers[high] < wanted) {
            ++low;
        } else {
            --high;
        }
    }
    if (low < high) {
        std::printf("%d %d\n", low + 1, high + 1);
    } else {
        std::puts("none");
    }
}

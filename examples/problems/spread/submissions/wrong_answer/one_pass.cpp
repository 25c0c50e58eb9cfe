// Wrong: mean of squares minus square of mean; nothing precise is left of the
// difference if the numbers are large and close to each other.
#include <algorithm>
#include <cmath>
#include <cstdio>

int main() {
    int n;
    std::scanf("%d", &n);
    double x, total = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
        std::scanf("%lf", &x);
        total += x;
        squares += x * x;
    }
    const double mean = total / n;
    const double variance = std::max(0.0, squares / n - mean * mean);
    std::printf("%.9f %.9f\n", mean, std::sqrt(variance));
}

#include <cmath>
#include <cstdio>
#include <vector>

int main() {
    int n;
    std::scanf("%d", &n);
    std::vector<double> numbers(n);
    double mean = 0, squares = 0;
    for (double& x : numbers) {
        std::scanf("%lf", &x);
        mean += x;
    }
    mean /= n;
    for (const double x : numbers) {
        squares += (x - mean) * (x - mean);
    }
    std::printf("%.9f %.9f\n", mean, std::sqrt(squares / n));
}

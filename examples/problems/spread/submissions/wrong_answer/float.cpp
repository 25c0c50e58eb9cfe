// Wrong: a float has only seven digits.
#include <cmath>
#include <cstdio>
#include <vector>

int main() {
    int n;
    std::scanf("%d", &n);
    std::vector<float> numbers(n);
    float mean = 0, squares = 0;
    for (float& x : numbers) {
        std::scanf("%f", &x);
        mean += x;
    }
    mean /= n;
    for (const float x : numbers) {
        squares += (x - mean) * (x - mean);
    }
    std::printf("%.9f %.9f\n", mean, std::sqrt(squares / n));
}

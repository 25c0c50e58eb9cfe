// Wrong: i * i overflows for the largest numbers.
#include <cstdio>

int main() {
    int t, x;
    std::scanf("%d", &t);
    while (t-- > 0) {
        std::scanf("%d", &x);
        bool prime = x > 1;
        for (int i = 2; prime && static_cast<int>(static_cast<unsigned>(i) * static_cast<unsigned>(i)) <= x && i < 70000; ++i) {
            prime = x % i != 0;
        }
        std::puts(prime ? "yes" : "no");
    }
}

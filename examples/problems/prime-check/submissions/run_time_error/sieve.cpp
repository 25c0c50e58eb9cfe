// Wrong: the sieve ends at 10^6 and starts at 0.
#include <cstdio>
#include <vector>

int main() {
    const int top = 1000000;
    std::vector<bool> prime(top + 1, true);
    prime[0] = prime[1] = false;
    for (int i = 2; i * i <= top; ++i) {
        for (int j = i * i; prime[i] && j <= top; j += i) {
            prime[j] = false;
        }
    }
    int t, x;
    std::scanf("%d", &t);
    while (t-- > 0) {
        std::scanf("%d", &x);
        std::puts(prime.at(x) ? "yes" : "no");
    }
}

#include <iostream>
#include <vector>

int main() {
    std::vector<int> primes;
    std::vector<bool> composite(46342);
    for (int i = 2; i < 46342; ++i) {
        if (composite[i]) continue;
        primes.push_back(i);
        for (int j = 2 * i; j < 46342; j += i) composite[j] = true;
    }
    int t;
    long long x;
    std::cin >> t;
    while (t-- > 0) {
        std::cin >> x;
        bool prime = x > 1;
        for (int p : primes) {
            if (1LL * p * p > x) break;
            if (x % p == 0) {
                prime = false;
                break;
            }
        }
        std::cout << (prime ? "yes" : "no") << "\n";
    }
}

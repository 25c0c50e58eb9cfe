#include <bits/stdc++.h>
using namespace std;
// primes up to 10000 are enough, are they not?
int main() {
    int n;
    cin >> n;
    map<int, int> power;
    while (n--) {
        int a;
        cin >> a;
        for (int p = 2; p <= 10000 && p <= a; p++)
            while (a % p == 0) a /= p, power[p]++;
        if (a > 1) power[a]++;
    }
    long long count = 1;
    for (auto [p, k] : power) count *= k + 1;
    cout << count << endl;
}

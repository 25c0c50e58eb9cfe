#include <bits/stdc++.h>
using namespace std;
// multiplies the numbers of divisors; true only where the numbers have nothing in common
int main() {
    int n;
    cin >> n;
    long long count = 1;
    while (n--) {
        int a;
        cin >> a;
        for (int p = 2; 1LL * p * p <= a; p++) {
            int k = 1;
            while (a % p == 0) a /= p, k++;
            count *= k;
        }
        if (a > 1) count *= 2;
    }
    cout << count << endl;
}

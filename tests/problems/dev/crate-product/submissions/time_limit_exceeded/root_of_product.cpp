#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    long long product = 1;
    while (n--) {
        long long a;
        cin >> a;
        product *= a;
    }
    long long count = 1;
    for (long long p = 2; p <= product / p; p++) {
        int k = 1;
        while (product % p == 0) product /= p, k++;
        count *= k;
    }
    if (product > 1) count *= 2;
    cout << count << endl;
}

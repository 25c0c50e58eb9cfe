#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    int product = 1;
    while (n--) {
        int a;
        cin >> a;
        product *= a;
    }
    long long count = 1;
    for (int p = 2; 1LL * p * p <= product; p++) {
        int k = 1;
        while (product % p == 0) product /= p, k++;
        count *= k;
    }
    if (product > 1) count *= 2;
    cout << count << endl;
}

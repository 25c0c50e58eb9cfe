// divisors come in pairs: tries all numbers up to the root of the product
#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    unsigned long long product = 1, count = 0;
    while (n--) {
        unsigned long long a;
        cin >> a;
        product *= a;
    }
    for (unsigned long long d = 1; d <= product / d; d++)
        if (product % d == 0) count += d * d == product ? 1 : 2;
    cout << count << endl;
}

#include <bits/stdc++.h>
using namespace std;
// one distance after the other
int main() {
    int n, k;
    cin >> n >> k;
    vector<long long> x(n);
    for (auto& v : x) cin >> v;
    for (long long d = 1;; d++) {
        long long last = x[0];
        int lamps = 1;
        for (auto v : x)
            if (v - last >= d) last = v, lamps++;
        if (lamps < k) return cout << d - 1 << endl, 0;
    }
}

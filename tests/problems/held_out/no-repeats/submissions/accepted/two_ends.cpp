#include <bits/stdc++.h>
using namespace std;
// compresses the numbers, then moves two ends
int main() {
    int t;
    cin >> t;
    while (t--) {
        int n;
        cin >> n;
        vector<long long> a(n);
        for (auto& x : a) cin >> x;
        auto order = a;
        sort(order.begin(), order.end());
        vector<int> there(n);
        int from = 0, best = 0;
        for (int i = 0; i < n; i++) {
            int x = lower_bound(order.begin(), order.end(), a[i]) - order.begin();
            while (there[x]) there[lower_bound(order.begin(), order.end(), a[from++]) - order.begin()] = 0;
            there[x] = 1;
            best = max(best, i - from + 1);
        }
        cout << best << "\n";
    }
}

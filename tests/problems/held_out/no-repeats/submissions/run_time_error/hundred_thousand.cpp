#include <bits/stdc++.h>
using namespace std;
int main() {
    int t;
    cin >> t;
    while (t--) {
        int n, start = 0, best = 0;
        cin >> n;
        vector<int> next(100001);
        for (int i = 0; i < n; i++) {
            long long a;
            cin >> a;
            start = max(start, next.at(a));
            next[a] = i + 1;
            best = max(best, i + 1 - start);
        }
        cout << best << "\n";
    }
}

#include <bits/stdc++.h>
using namespace std;
// remembers the places of the row before
int main() {
    int t;
    cin >> t;
    map<long long, int> next;
    while (t--) {
        int n, start = 0, best = 0;
        cin >> n;
        for (int i = 0; i < n; i++) {
            long long a;
            cin >> a;
            if (next[a] <= i) start = max(start, next[a]);
            next[a] = i + 1;
            best = max(best, i + 1 - start);
        }
        cout << best << "\n";
    }
}

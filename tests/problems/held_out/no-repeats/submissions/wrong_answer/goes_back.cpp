#include <bits/stdc++.h>
using namespace std;
// the start may go back
int main() {
    int t;
    cin >> t;
    while (t--) {
        int n, start = 0, best = 0;
        cin >> n;
        map<long long, int> next;
        for (int i = 0; i < n; i++) {
            long long a;
            cin >> a;
            if (next.count(a)) start = next[a];
            next[a] = i + 1;
            best = max(best, i + 1 - start);
        }
        cout << best << "\n";
    }
}

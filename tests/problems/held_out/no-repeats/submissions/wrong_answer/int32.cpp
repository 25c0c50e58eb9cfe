#include <bits/stdc++.h>
using namespace std;
int main() {
    int t;
    cin >> t;
    while (t--) {
        int n, start = 0, best = 0;
        cin >> n;
        map<int, int> next;
        for (int i = 0; i < n; i++) {
            long long wide;
            cin >> wide;
            int a = wide;
            start = max(start, next[a]);
            next[a] = i + 1;
            best = max(best, i + 1 - start);
        }
        cout << best << "\n";
    }
}

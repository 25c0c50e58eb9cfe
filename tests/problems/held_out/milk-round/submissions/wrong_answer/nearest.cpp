#include <bits/stdc++.h>
using namespace std;
// always to the nearest farm that is left, from every possible first one
int main() {
    int n;
    cin >> n;
    vector<vector<long long>> d(n, vector<long long>(n));
    for (auto& row : d)
        for (auto& x : row) cin >> x;
    long long best = n == 1 ? 0 : LLONG_MAX;
    for (int first = 1; first < n; first++) {
        vector<bool> seen(n);
        seen[0] = seen[first] = true;
        long long sum = d[0][first];
        int at = first;
        for (int k = 2; k < n; k++) {
            int next = -1;
            for (int j = 0; j < n; j++)
                if (!seen[j] && (next < 0 || d[at][j] < d[at][next])) next = j;
            sum += d[at][next];
            at = next;
            seen[at] = true;
        }
        best = min(best, sum + d[at][0]);
    }
    cout << best << endl;
}

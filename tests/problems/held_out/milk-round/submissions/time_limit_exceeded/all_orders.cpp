#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<vector<long long>> d(n, vector<long long>(n));
    for (auto& row : d)
        for (auto& x : row) cin >> x;
    vector<int> order(n);
    iota(order.begin(), order.end(), 0);
    long long best = LLONG_MAX;
    do {
        long long sum = d[order.back()][0];
        for (int i = 1; i < n; i++) sum += d[order[i - 1]][order[i]];
        best = min(best, sum);
    } while (next_permutation(order.begin() + 1, order.end()));
    cout << best << endl;
}

#include <bits/stdc++.h>
using namespace std;
int n, m, best;
vector<int> w;
void go(int i, int s) {
    if (s > m / 2) return;
    best = max(best, s);
    if (i == n || best == m / 2) return;
    go(i + 1, s + w[i]);
    go(i + 1, s);
}
int main() {
    cin >> n >> m;
    w.resize(n);
    for (int& x : w) cin >> x;
    go(0, 0);
    cout << m - 2 * best << endl;
}

#include <bits/stdc++.h>
using namespace std;
vector<vector<int>> after;
int n, m;
long long go(int a) {
    if (a == n) return 1;
    long long ways = 0;
    for (int b : after[a]) ways += go(b);
    return ways % 1000000007;
}
int main() {
    cin >> n >> m;
    after.resize(n + 1);
    while (m--) {
        int a, b;
        cin >> a >> b;
        after[a].push_back(b);
    }
    cout << go(1) << endl;
}

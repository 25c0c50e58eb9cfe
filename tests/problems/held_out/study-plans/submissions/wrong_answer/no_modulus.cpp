#include <bits/stdc++.h>
using namespace std;
// takes the remainder at the end
int main() {
    int n, m;
    cin >> n >> m;
    vector<vector<int>> after(n + 1);
    vector<int> before(n + 1), order;
    vector<unsigned long long> ways(n + 1);
    while (m--) {
        int a, b;
        cin >> a >> b;
        after[a].push_back(b);
        before[b]++;
    }
    for (int i = 1; i <= n; i++)
        if (!before[i]) order.push_back(i);
    ways[1] = 1;
    for (int i = 0; i < (int)order.size(); i++)
        for (int b : after[order[i]]) {
            ways[b] += ways[order[i]];
            if (--before[b] == 0) order.push_back(b);
        }
    cout << ways[n] % 1000000007 << endl;
}

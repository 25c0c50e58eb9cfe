#include <bits/stdc++.h>
using namespace std;
// begins with course 1 only: what else leads into the way is waited for in vain
int main() {
    int n, m;
    cin >> n >> m;
    vector<vector<int>> after(n + 1);
    vector<int> before(n + 1), ways(n + 1);
    while (m--) {
        int a, b;
        cin >> a >> b;
        after[a].push_back(b);
        before[b]++;
    }
    queue<int> q;
    q.push(1);
    ways[1] = 1;
    while (!q.empty()) {
        int a = q.front();
        q.pop();
        for (int b : after[a]) {
            ways[b] = (ways[b] + ways[a]) % 1000000007;
            if (--before[b] == 0) q.push(b);
        }
    }
    cout << ways[n] << endl;
}

#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<vector<int>> after(n + 1);
    vector<int> before(n + 1), ways(n + 1), order;
    while (m--) {
        int a, b;
        scanf("%d %d", &a, &b);
        after[a].push_back(b);
        before[b]++;
    }
    for (int i = 1; i <= n; i++)
        if (!before[i]) order.push_back(i);
    ways[1] = 1;
    for (int i = 0; i < (int)order.size(); i++)
        for (int b : after[order[i]]) {
            ways[b] = (ways[b] + ways[order[i]]) % 1000000007;
            if (--before[b] == 0) order.push_back(b);
        }
    printf("%d\n", ways[n]);
}

#include <bits/stdc++.h>
using namespace std;
// goes back minute by minute until a booking starts
int main() {
    int n, q;
    cin >> n >> q;
    unordered_map<int, pair<int, int>> starts;
    int first = INT_MAX;
    for (int i = 1; i <= n; i++) {
        int a, b;
        cin >> a >> b;
        starts[a] = {b, i};
        first = min(first, a);
    }
    while (q--) {
        int x;
        cin >> x;
        int a = x;
        while (a >= first && !starts.count(a)) a--;
        if (a < first || starts[a].first < x)
            puts("free");
        else
            printf("%d %d\n", starts[a].second, starts[a].first - a + 1);
    }
}

#include <bits/stdc++.h>
using namespace std;
// lengths in 16 bits
int main() {
    int n, q;
    cin >> n >> q;
    map<int, pair<short, int>> starts;
    for (int i = 1; i <= n; i++) {
        int a, b;
        cin >> a >> b;
        starts[a] = {short(b - a + 1), i};
    }
    while (q--) {
        int x;
        cin >> x;
        auto it = starts.upper_bound(x);
        if (it == starts.begin() || prev(it)->first + prev(it)->second.first <= x)
            puts("free");
        else
            printf("%d %d\n", prev(it)->second.second, prev(it)->second.first);
    }
}

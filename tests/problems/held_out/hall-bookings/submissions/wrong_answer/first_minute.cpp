#include <bits/stdc++.h>
using namespace std;
// lower_bound: the first minute belongs to the booking before
int main() {
    int n, q;
    cin >> n >> q;
    map<int, pair<int, int>> starts;
    for (int i = 1; i <= n; i++) {
        int a, b;
        cin >> a >> b;
        starts[a] = {b, i};
    }
    while (q--) {
        int x;
        cin >> x;
        auto it = starts.lower_bound(x);
        if (it == starts.begin() && x != it->first) {
            puts("free");
            continue;
        }
        if (it != starts.begin()) --it;
        if (it->second.first < x)
            puts("free");
        else
            printf("%d %d\n", it->second.second, it->second.first - it->first + 1);
    }
}

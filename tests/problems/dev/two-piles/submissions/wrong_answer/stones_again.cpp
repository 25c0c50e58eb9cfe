#include <bits/stdc++.h>
using namespace std;
// goes up instead of down, so that a stone may be used again
int main() {
    int n, m;
    cin >> n >> m;
    vector<char> can(m + 1);
    can[0] = 1;
    while (n--) {
        int w;
        cin >> w;
        for (int s = w; s <= m / 2; s++) can[s] |= can[s - w];
    }
    for (int s = m / 2;; s--)
        if (can[s]) return printf("%d\n", m - 2 * s), 0;
}

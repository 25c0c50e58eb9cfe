#include <bits/stdc++.h>
using namespace std;
int main() {
    int n, m;
    scanf("%d %d", &n, &m);
    vector<bool> can(m + 1);
    can[0] = true;
    while (n--) {
        int w;
        scanf("%d", &w);
        for (int s = m; s >= w; s--)
            if (can[s - w]) can[s] = true;
    }
    for (int s = m / 2;; s--)
        if (can[s]) return printf("%d\n", m - 2 * s), 0;
}

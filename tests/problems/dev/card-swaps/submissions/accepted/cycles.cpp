#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<int> a(n + 1);
    for (int i = 1; i <= n; i++) scanf("%d", &a[i]);
    vector<pair<int, int>> moves;
    for (int i = 1; i <= n; i++)
        while (a[i] != i) {
            moves.push_back({i, a[i]});
            swap(a[i], a[a[i]]);
        }
    printf("%zu\n", moves.size());
    for (auto [i, j] : moves) printf("%d %d\n", i, j);
}

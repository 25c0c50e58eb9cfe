#include <bits/stdc++.h>
using namespace std;
// selection sort; does not notice that a card lies right already
int main() {
    int n;
    scanf("%d", &n);
    vector<int> a(n), at(n + 1);
    for (int i = 0; i < n; i++) scanf("%d", &a[i]), at[a[i]] = i;
    vector<pair<int, int>> moves;
    for (int i = 0; i + 1 < n; i++) {
        if (is_sorted(a.begin() + i, min(a.end(), a.begin() + i + 100)) && is_sorted(a.begin() + i, a.end())) break;
        int j = at[i + 1];
        moves.push_back({i + 1, j + 1});
        at[a[i]] = j;
        swap(a[i], a[j]);
    }
    printf("%zu\n", moves.size());
    for (auto [i, j] : moves) printf("%d %d\n", i, j);
}

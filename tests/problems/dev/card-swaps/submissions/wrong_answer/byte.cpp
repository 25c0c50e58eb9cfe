#include <bits/stdc++.h>
using namespace std;
// keeps places in a byte
int main() {
    int n;
    scanf("%d", &n);
    vector<int> a(n);
    vector<unsigned char> at(n + 1);
    for (int i = 0; i < n; i++) scanf("%d", &a[i]), at[a[i]] = i;
    vector<pair<int, int>> moves;
    for (int i = 0; i < n; i++)
        if (a[i] != i + 1) {
            int j = at[i + 1];
            moves.push_back({i + 1, j + 1});
            at[a[i]] = j;
            swap(a[i], a[j]);
        }
    printf("%zu\n", moves.size());
    for (auto [i, j] : moves) printf("%d %d\n", i, j);
}

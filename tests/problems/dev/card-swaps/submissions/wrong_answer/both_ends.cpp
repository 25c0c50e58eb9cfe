#include <bits/stdc++.h>
using namespace std;
// puts the smallest to the front and the largest to the back in one go
int main() {
    int n;
    scanf("%d", &n);
    vector<int> a(n), at(n + 1);
    for (int i = 0; i < n; i++) scanf("%d", &a[i]), at[a[i]] = i;
    vector<pair<int, int>> moves;
    for (int i = 0, j = n - 1; i < j; i++, j--) {
        int low = at[i + 1], high = at[j + 1];
        if (low != i) {
            moves.push_back({i + 1, low + 1});
            at[a[i]] = low;
            swap(a[i], a[low]);
            at[i + 1] = i;
        }
        if (high != j && a[high] == j + 1) {
            moves.push_back({j + 1, high + 1});
            at[a[j]] = high;
            swap(a[j], a[high]);
            at[j + 1] = j;
        }
    }
    printf("%zu\n", moves.size());
    for (auto [i, j] : moves) printf("%d %d\n", i, j);
}

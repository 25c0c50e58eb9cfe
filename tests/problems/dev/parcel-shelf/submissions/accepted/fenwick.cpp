#include <bits/stdc++.h>
using namespace std;
int main() {
    int q;
    cin >> q;
    vector<pair<char, int>> events(q);
    vector<int> w;
    for (auto& [kind, i] : events) {
        string word;
        cin >> word;
        kind = word[0];
        if (kind != 'h') cin >> i;
        if (kind == 'a') w.push_back(i), i = w.size();
    }
    vector<int> order = w;
    sort(order.begin(), order.end());
    vector<int> tree(order.size() + 1);
    auto place = [&](int i) { return int(lower_bound(order.begin(), order.end(), w[i - 1]) - order.begin()) + 1; };
    auto change = [&](int p, int by) { for (; p < (int)tree.size(); p += p & -p) tree[p] += by; };
    multiset<int> shelf;
    for (auto [kind, i] : events) {
        if (kind == 'a') change(place(i), 1), shelf.insert(w[i - 1]);
        if (kind == 't') change(place(i), -1), shelf.erase(shelf.find(w[i - 1]));
        if (kind == 'h') printf("%d\n", shelf.empty() ? 0 : *shelf.rbegin());
        if (kind == 'l') {
            int sum = 0;
            for (int p = place(i) - 1; p; p -= p & -p) sum += tree[p];
            printf("%d\n", sum);
        }
    }
}

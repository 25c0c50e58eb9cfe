#include <bits/stdc++.h>
using namespace std;
// a set knows no ranks: distance walks
int main() {
    int q;
    cin >> q;
    vector<int> w;
    multiset<int> shelf;
    while (q--) {
        string kind;
        int i;
        cin >> kind;
        if (kind == "heaviest") {
            printf("%d\n", shelf.empty() ? 0 : *shelf.rbegin());
            continue;
        }
        cin >> i;
        if (kind == "add") {
            w.push_back(i);
            shelf.insert(i);
        } else if (kind == "take")
            shelf.erase(shelf.find(w[i - 1]));
        else
            printf("%d\n", (int)distance(shelf.begin(), shelf.lower_bound(w[i - 1])));
    }
}

#include <bits/stdc++.h>
using namespace std;
// erase(value) takes all parcels of that weight away; the ranks come from a list
int main() {
    int q;
    cin >> q;
    vector<int> w;
    multiset<int> shelf;
    vector<int> sorted;
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
            sorted.insert(upper_bound(sorted.begin(), sorted.end(), i), i);
        } else if (kind == "take") {
            shelf.erase(w[i - 1]);
            sorted.erase(lower_bound(sorted.begin(), sorted.end(), w[i - 1]));
        } else
            printf("%d\n", int(lower_bound(sorted.begin(), sorted.end(), w[i - 1]) - sorted.begin()));
    }
}

#include <bits/stdc++.h>
using namespace std;
// the number of a parcel is how many there are, so numbers are given again when the last one has been taken
int main() {
    int q;
    cin >> q;
    map<int, int> w;
    multiset<int> shelf;
    int came = 0;
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
            w[++came] = i;
            shelf.insert(i);
        } else if (kind == "take") {
            shelf.erase(shelf.find(w[i]));
            if (i == came && shelf.empty()) came--;
        } else
            printf("%d\n", (int)distance(shelf.begin(), shelf.lower_bound(w[i])));
    }
}

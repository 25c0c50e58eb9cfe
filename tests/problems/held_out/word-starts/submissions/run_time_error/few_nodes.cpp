#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<array<int, 26>> next(20000);
    vector<int> ends(20000);
    int nodes = 1;
    vector<string> words(n);
    for (auto& word : words) cin >> word;
    sort(words.begin(), words.end());
    long long pairs = 0;
    for (auto& word : words) {
        int node = 0;
        for (char c : word) {
            if (!next.at(node)[c - 'a']) next[node][c - 'a'] = nodes++;
            node = next[node][c - 'a'];
            pairs += ends.at(node);
        }
        ends[node] = 1;
    }
    cout << pairs << endl;
}

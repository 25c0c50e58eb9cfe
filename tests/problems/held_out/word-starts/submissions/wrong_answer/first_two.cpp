#include <bits/stdc++.h>
using namespace std;
// counts words that begin with the next word in the order of the list only if they come later
int main() {
    int n;
    cin >> n;
    unordered_set<string> before;
    long long pairs = 0;
    while (n--) {
        string word, part;
        cin >> word;
        for (char c : word) {
            part += c;
            if (before.count(part)) pairs++;
            if (part.size() > 40) break;
        }
        before.insert(word);
    }
    cout << pairs << endl;
}

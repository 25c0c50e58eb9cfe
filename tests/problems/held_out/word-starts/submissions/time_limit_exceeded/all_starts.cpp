#include <bits/stdc++.h>
using namespace std;
// the same with copies, for each length of word
int main() {
    int n;
    cin >> n;
    set<string> known;
    vector<string> words(n);
    for (auto& word : words) cin >> word, known.insert(word);
    long long pairs = 0;
    for (auto& word : words)
        for (size_t i = 1; i < word.size(); i++) {
            string start;
            for (size_t j = 0; j < i; j++) start += word[j];
            pairs += known.count(start);
        }
    cout << pairs << endl;
}

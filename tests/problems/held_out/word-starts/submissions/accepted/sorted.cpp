#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    cin >> n;
    vector<string> words(n);
    for (auto& word : words) cin >> word;
    sort(words.begin(), words.end());
    vector<int> stack;
    long long pairs = 0;
    for (int i = 0; i < n; i++) {
        while (!stack.empty() && words[i].compare(0, words[stack.back()].size(), words[stack.back()])) stack.pop_back();
        pairs += stack.size();
        stack.push_back(i);
    }
    cout << pairs << endl;
}

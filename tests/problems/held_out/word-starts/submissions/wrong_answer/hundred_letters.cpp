#include <bits/stdc++.h>
using namespace std;
// words have less than 100 letters, have they not?
int main() {
    int n;
    scanf("%d", &n);
    vector<string> words(n);
    char word[101];
    for (auto& w : words) scanf("%100s", word), w = word;
    sort(words.begin(), words.end());
    vector<int> stack;
    long long pairs = 0;
    for (int i = 0; i < n; i++) {
        while (!stack.empty() && words[i].compare(0, words[stack.back()].size(), words[stack.back()])) stack.pop_back();
        pairs += stack.size();
        stack.push_back(i);
    }
    printf("%lld\n", pairs);
}

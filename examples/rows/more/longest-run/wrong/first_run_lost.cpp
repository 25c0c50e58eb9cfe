// Wrong: the run at the beginning is counted one short.
#include <cstdio>
#include <iostream>
#include <string>

int main() {
    std::string s;
    std::cin >> s;
    int best = 1, length = 0;
    char letter = s[0];
    for (size_t i = 0; i < s.size(); ++i) {
        length = i > 0 && s[i] == s[i - 1] ? length + 1 : (i > 0);
        if (length > best) {
            best = length;
            letter = s[i];
        }
    }
    std::printf("%c %d\n", letter, best);
}

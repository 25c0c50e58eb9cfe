// Wrong: the length is kept in one byte and wraps around at 256.
#include <cstdio>
#include <iostream>
#include <string>

int main() {
    std::string s;
    std::cin >> s;
    unsigned char best = 0, length = 0;
    char letter = '?';
    for (size_t i = 0; i < s.size(); ++i) {
        if (i > 0 && s[i] == s[i - 1]) {
            ++length;
        } else {
            length = 1;
        }
        if (length > best) {
            best = length;
            letter = s[i];
        }
    }
    std::printf("%c %d\n", letter, best);
}

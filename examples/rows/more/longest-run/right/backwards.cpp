#include <iostream>
#include <string>

int main() {
    std::string s;
    std::getline(std::cin, s);
    while (!s.empty() && (s.back() == '\r' || s.back() == ' ')) s.pop_back();
    int best = 0, length = 0;
    char letter = 0;
    for (int i = static_cast<int>(s.size()) - 1; i >= 0; --i) {
        length = i + 1 < static_cast<int>(s.size()) && s[i] == s[i + 1] ? length + 1 : 1;
        if (length >= best) {
            best = length;
            letter = s[i];
        }
    }
    std::cout << letter << ' ' << best << std::endl;
}

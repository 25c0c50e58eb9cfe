// Wrong: looks at the first digit of a count only.
#include <iostream>
#include <string>

int main() {
    int n;
    std::string k, text;
    char c;
    std::cin >> n;
    while (n-- > 0) {
        std::cin >> k >> c;
        text.append(k[0] - '0', c == '_' ? ' ' : c);
    }
    std::cout << text << '\n';
}

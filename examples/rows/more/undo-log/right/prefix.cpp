#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

int main() {
    int n;
    std::cin >> n;
    std::vector<long long> sums{0};
    std::string command;
    long long argument;
    while (n-- > 0) {
        std::cin >> command >> argument;
        if (command == "add") {
            sums.push_back(sums.back() + argument);
        } else {
            sums.resize(std::max<long long>(1, static_cast<long long>(sums.size()) - argument));
        }
        std::cout << sums.back() << "\n";
    }
}

// Wrong: has a table for scores from 0 to 10000 only.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

int main() {
    std::ios::sync_with_stdio(false);
    int n, score, rank = 1;
    std::string name;
    std::vector<std::vector<std::string>> names(10001);
    std::cin >> n;
    while (n-- > 0) {
        std::cin >> name >> score;
        names.at(score).push_back(name);
    }
    for (score = 10000; score >= 0; --score) {
        std::sort(names[score].begin(), names[score].end());
        for (const std::string& player : names[score]) {
            std::cout << rank << ' ' << player << ' ' << score << '\n';
        }
        rank += static_cast<int>(names[score].size());
    }
}

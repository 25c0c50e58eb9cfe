// Wrong: players with equal scores stay in the order of the input.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

struct Player {
    std::string name;
    int score;
};

int main() {
    std::ios::sync_with_stdio(false);
    int n;
    std::cin >> n;
    std::vector<Player> players(n);
    for (Player& p : players) {
        std::cin >> p.name >> p.score;
    }
    std::stable_sort(
        players.begin(), players.end(),
        [](const Player& a, const Player& b) { return a.score > b.score; });
    int rank = 1;
    for (int i = 0; i < n; ++i) {
        if (i > 0 && players[i].score < players[i - 1].score) {
            rank = i + 1;
        }
        std::cout << rank << ' ' << players[i].name << ' ' << players[i].score << '\n';
    }
}

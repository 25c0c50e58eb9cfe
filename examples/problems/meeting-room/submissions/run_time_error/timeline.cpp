// Wrong: keeps the best request per end time in a table for times to 100000.
#include <cstdio>
#include <vector>

int main() {
    int n;
    std::scanf("%d", &n);
    std::vector<int> a(n + 1), b(n + 1), latest(100001);
    for (int i = 1; i <= n; ++i) {
        std::scanf("%d %d", &a[i], &b[i]);
        int& best = latest.at(b[i]);
        if (best == 0 || a[i] > a[best]) {
            best = i;
        }
    }
    std::vector<int> chosen;
    int free_from = 0;
    for (const int i : latest) {
        if (i > 0 && a[i] >= free_from) {
            chosen.push_back(i);
            free_from = b[i];
        }
    }
    std::printf("%zu\n", chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
        std::printf("%d%c", chosen[i], i + 1 < chosen.size() ? ' ' : '\n');
    }
}

#include <bits/stdc++.h>
using namespace std;
int main() {
    int n;
    scanf("%d", &n);
    vector<long double> x(n), y(n);
    for (int i = 0; i < n; i++) scanf("%Lf %Lf", &x[i], &y[i]);
    long double best = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) best = max(best, fabsl((y[i] - y[j]) / (x[i] - x[j])));
    printf("%.9Lf\n", best);
}

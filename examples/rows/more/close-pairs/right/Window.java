import java.io.*;
import java.util.*;

public class Main {
    public static void main(String[] args) throws IOException {
        StreamTokenizer in = new StreamTokenizer(new BufferedInputStream(System.in));
        in.nextToken();
        int n = (int) in.nval;
        in.nextToken();
        int d = (int) in.nval;
        int[] count = new int[500002];
        for (int i = 0; i < n; i++) {
            in.nextToken();
            count[(int) in.nval]++;
        }
        long pairs = 0, window = 0;
        for (int x = 0; x <= 500000; x++) {
            pairs += count[x] * window + (long) count[x] * (count[x] - 1) / 2;
            window += count[x];
            if (x - d >= 0) {
                window -= count[x - d];
            }
        }
        System.out.println(pairs);
    }
}

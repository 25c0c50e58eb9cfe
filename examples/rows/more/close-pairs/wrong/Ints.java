// Wrong: counts the pairs in 32 bits.
import java.util.*;

public class Main {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int n = in.nextInt(), d = in.nextInt();
        int[] numbers = new int[n];
        for (int i = 0; i < n; i++) numbers[i] = in.nextInt();
        Arrays.sort(numbers);
        int pairs = 0, first = 0;
        for (int i = 0; i < n; i++) {
            while (numbers[i] - numbers[first] > d) first++;
            pairs += i - first;
        }
        System.out.println(pairs);
    }
}

// Wrong: knows the primes below 1000 only.
import java.util.*;

public class Main {
    public static void main(String[] args) {
        Set<Long> primes = new HashSet<>();
        for (long x = 2; x < 1000; x++) {
            boolean prime = true;
            for (long i = 2; i * i <= x; i++) prime &= x % i != 0;
            if (prime) primes.add(x);
        }
        Scanner in = new Scanner(System.in);
        for (int t = in.nextInt(); t > 0; t--) System.out.println(primes.contains(in.nextLong()) ? "yes" : "no");
    }
}

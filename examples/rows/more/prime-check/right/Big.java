import java.math.BigInteger;
import java.util.Scanner;

public class Main {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        for (int t = in.nextInt(); t > 0; t--) {
            BigInteger x = in.nextBigInteger();
            System.out.println(x.signum() > 0 && x.isProbablePrime(40) ? "yes" : "no");
        }
    }
}

"""Many runs, and what is known from them."""

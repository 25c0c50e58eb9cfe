"""What proposes inputs may use of a run: budgets, feedback, a place to try programs."""

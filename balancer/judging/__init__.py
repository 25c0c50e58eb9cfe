"""What an output, and an execution, mean for a submission."""

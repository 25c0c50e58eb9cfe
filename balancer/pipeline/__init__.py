"""Pipeline: proposes inputs for problems, judges submissions on them, and writes a report."""

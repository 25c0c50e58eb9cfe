"""Values: the rules for URLs, numbers, headers and ranges, error texts, and redaction of secrets."""

"""Problems in; inputs, expected outputs, verdicts and a report out."""

"""Drawing programs: input validators run backwards. Each read of the validator becomes a choice."""

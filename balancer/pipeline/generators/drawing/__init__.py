"""Drawing programs: checktestdata grammars run backwards. Each read of a grammar becomes a choice."""

"""Write an input down: from a template, or as a change of a known one."""

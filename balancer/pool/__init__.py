"""The pool itself, for threads: `BasePool`, a core and a shell. It knows nothing of what is built around it."""

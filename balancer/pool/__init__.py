"""The pool that programs use: `Pool` for threads and tasks, `AsyncPool`, and the pool of a cluster's coordinator."""

"""Judging: one run of a program on some endpoint, and whether its end and its output are believed.

The pipeline and `balancer.judge` both stand on it, and do not know each other.

- `verdict`, `compare`: what an end and an output mean; pure.
- `pending`: what is run, what is recorded of it, and how often it is tried. Data.
- `suspicion`, `trust`: which ends and which endpoints are not believed at once; pure.
- `attempts`, `reruns`, `judgements`: which runs are made to know what one came to; they wait for nothing.
- `runner`, `task_runner`: carry the runs out, for threads and for tasks.
"""

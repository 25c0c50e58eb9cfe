"""Judging: runs of programs on endpoints, and which ends and outputs are believed.

The pipeline and `balancer.judge` both use it.

- `verdict`, `compare`: what an end and an output mean. Pure.
- `pending`: wanted runs, their options, results and spans. Data.
- `suspicion`, `trust`: which ends and which endpoints are doubted. Pure.
- `attempts`, `reruns`, `judgements`: decide which runs are made, and wait for none.
- `runner`, `task_runner`: carry out the runs, for threads and for tasks.
- `executors`: one for each endpoint of a config or of a pool.
"""

"""Judge: scores programs that models wrote against tests, and runs programs for tools of agents.

- `judge`: `Judge`, for threads and tasks; `batches`: many jobs at once.
- `procedure`: judges a program on its cases; `judged`: jobs and results.
- `datasets`: the tests of data sets as cases.
- `executed`: programs that are run for what they print.
- `extract`: the program in a completion; `fences`: code blocks and their languages.
- `trainers`: reward functions for verl; `gateway`: SandboxFusion's `/run_code` over a judge.

`balancer.judging` decides what an end means, what is run again and which endpoint is believed.
"""

from balancer.judge.datasets import cases_of
from balancer.judge.executed import Executed, ExecuteJob
from balancer.judge.extract import code_in, program_in
from balancer.judge.judge import Judge
from balancer.judge.judged import CaseVerdict, Job, Judged
from balancer.judging.cases import CallCase, StdinCase
from balancer.problem import Checker, Verdict
from balancer.program import Limits, Program, Status

__all__ = [
    "CallCase",
    "CaseVerdict",
    "Checker",
    "ExecuteJob",
    "Executed",
    "Job",
    "Judge",
    "Judged",
    "Limits",
    "Program",
    "Status",
    "StdinCase",
    "Verdict",
    "cases_of",
    "code_in",
    "program_in",
]

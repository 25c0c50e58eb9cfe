"""The judge: verdicts on programs that models wrote, and never an endpoint's fault as a score.

- `judge`: `Judge`, for threads and tasks; `batches`: many jobs at once.
- `procedure`: how a program is judged on its cases; `judged`: what comes of it.
- `cases`: what is run for a test, and the forms in which data sets have tests; `calls`: functions that are called.
- `extract`: the program in a completion; `fences`: blocks and their languages.
- `trainers`: the signatures that verl, TRL and open-r1 call.

What an end means, what is run again and who is believed is decided in `balancer.judging`, as for the pipeline.
"""

from balancer.judge.cases import CallCase, StdinCase, cases_of
from balancer.judge.extract import code_in, program_in
from balancer.judge.judge import Judge
from balancer.judge.judged import CaseVerdict, Job, Judged
from balancer.problem import Checker, Verdict
from balancer.program import Limits, Program

__all__ = [
    "CallCase",
    "CaseVerdict",
    "Checker",
    "Job",
    "Judge",
    "Judged",
    "Limits",
    "Program",
    "StdinCase",
    "Verdict",
    "cases_of",
    "code_in",
    "program_in",
]

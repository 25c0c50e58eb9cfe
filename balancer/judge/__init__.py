"""The judge: verdicts on programs that models wrote, and never an endpoint's fault as a score.

- `judge`: `Judge`, for threads and tasks; `batches`: many jobs at once; `resources`: what is closed in the end.
- `procedure`: how a program is judged on its cases; `judged`: what comes of it.
- `cases`, `calls`, `values`: what is run for a test, and how a returned value is compared.
- `datasets`: the forms in which data sets have tests.
- `extract`: the program in a completion; `fences`, `tags`: blocks and their languages; `unfenced`: code without one.
- `trainers`: the signatures that verl, TRL and open-r1 call.

What an end means, what is run again and who is believed is decided in `balancer.judging`, as for the pipeline.
"""

from balancer.judge.cases import CallCase, StdinCase
from balancer.judge.datasets import cases_of
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

"""Many callers at once: each gets the answer to its own question."""

import pytest

from balancer.program import Execution, Limits, Program, Status
from tests.needs import CPP
from tests.threads.crew import crew

THREADS = 8
ROUNDS = 3
ECHO = '#include <iostream>\nint main() { std::string s; std::cin >> s; std::cout << "cpp " << s; }'


def question(number: int) -> tuple[Program, bytes, Status, bytes]:
    """Return a program, its input, and how it has to end."""
    text = f"n{number}".encode()
    kinds = (
        (Program("python", "print('python', input())"), Status.FINISHED, b"python " + text + b"\n"),
        (Program("cpp", ECHO), Status.FINISHED, b"cpp " + text),
        (Program("python", "print(input(), flush=True)\nwhile True: pass"), Status.TIME_LIMIT, text + b"\n"),
        (Program("python", "import sys\nprint(input(), 'x' * 10**6)"), Status.OUTPUT_LIMIT, text + b" xx"),
    )
    program, status, stdout = kinds[number % len(kinds)]
    return program, text + b"\n", status, stdout


@pytest.mark.sampled(1)
@CPP
def test_right_answers_to_the_right_callers(isolated):
    limits = Limits(cpu_s=0.2, wall_s=20.0, output_bytes=1000)
    wrong: list[tuple[int, Execution]] = []
    answers: list[int] = []

    def ask(caller: int) -> None:
        for turn in range(ROUNDS):
            number = caller * ROUNDS + turn
            program, stdin, status, stdout = question(number)
            execution = isolated.run(program, stdin, limits, {})
            if execution.status is not status or not execution.stdout.startswith(stdout):
                wrong.append((number, execution))
            answers.append(number)

    crew(THREADS, ask)
    assert not wrong
    assert sorted(answers) == list(range(THREADS * ROUNDS))


def test_limits_on_processes_do_not_add_up(isolated):
    """Four programs, each with as many processes as one may have, at the same time."""
    source = """
import os, sys, time
for _ in range(6):
    if os.fork() == 0: time.sleep(0.5); os._exit(0)
print("all born")
"""
    outputs: list[bytes] = []

    limits = Limits(cpu_s=10.0, wall_s=100.0, processes=7)
    crew(4, lambda number: outputs.append(isolated.run(Program("python", source), b"", limits, {}).stdout))
    assert outputs == [b"all born\n"] * 4

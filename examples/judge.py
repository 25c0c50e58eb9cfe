"""Scores what a model wrote, on this machine and with no server: python examples/judge.py

Two endpoints here are two slots of this machine. With servers, name their URLs instead; nothing else changes.
"""

from balancer import Pool
from balancer.judge import CallCase, Job, Judge

DOUBLE = {"inputs": ["1\n", "21\n"], "outputs": ["2\n", "42\n"]}
RIGHT = "<think>Easy.</think>\n```python\nprint(2 * int(input()))\n```"
WRONG = "```python\nprint(2)\n```"
ENDLESS = "```python\nwhile True: pass\n```"
WORDS = "I would double it."
METHOD = "class Solution:\n    def twice(self, xs: List[int]) -> List[int]:\n        return [2 * x for x in xs]"


def main() -> None:
    pool = Pool(["local://1", "local://2"])
    with Judge(pool, limits=1.0) as judge:  # CPU seconds for each run
        judged = judge.run(RIGHT, [("1\n", "2\n"), ("21\n", "42\n")])
        print("one:", judged.score, judged.verdict.value)

        for judged in judge.run_many(Job.of(text, DOUBLE, tag=text) for text in (RIGHT, WRONG, ENDLESS, WORDS)):
            print("many:", judged.score, judged.verdict.value, judged.note)

        judged = judge.run(METHOD, [CallCase("twice", [[1, 2]], [2, 4])])
        print("a call:", judged.score)

    print(pool)


if __name__ == "__main__":
    main()

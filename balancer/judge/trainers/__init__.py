"""Reward functions under the signatures that trainers call.

- `scoring`: verdicts to rewards, and the count of what has none.
- `verl`, `trl`, `open_r1`: one file for each trainer. None of them is imported: only their signatures are kept.
"""

from balancer.judge.trainers.open_r1 import open_r1_binary_code_reward, open_r1_code_reward
from balancer.judge.trainers.scoring import Counts, Unscored
from balancer.judge.trainers.trl import async_trl_reward, trl_reward
from balancer.judge.trainers.verl import async_verl_score, verl_batch_score, verl_sandbox_fusion, verl_score

__all__ = [
    "Counts",
    "Unscored",
    "async_trl_reward",
    "async_verl_score",
    "open_r1_binary_code_reward",
    "open_r1_code_reward",
    "trl_reward",
    "verl_batch_score",
    "verl_sandbox_fusion",
    "verl_score",
]

"""Reward functions with the signatures of trainers.

- `scoring`: turns results into rewards, and counts samples without a reward.
- `verl`, `trl`, `open_r1`: one module for each trainer. The trainers are not imported; only their signatures are used.
- `samples`: the score of one sample, for all other trainers and for evaluations.
"""

from balancer.judge.trainers.open_r1 import open_r1_binary_code_reward, open_r1_code_reward
from balancer.judge.trainers.samples import async_sample_score, sample_score
from balancer.judge.trainers.scoring import Counts, Unscored
from balancer.judge.trainers.trl import async_trl_reward, trl_reward
from balancer.judge.trainers.verl import async_verl_score, verl_batch_score, verl_sandbox_fusion, verl_score

__all__ = [
    "Counts",
    "Unscored",
    "async_sample_score",
    "async_trl_reward",
    "async_verl_score",
    "open_r1_binary_code_reward",
    "open_r1_code_reward",
    "sample_score",
    "trl_reward",
    "verl_batch_score",
    "verl_sandbox_fusion",
    "verl_score",
]

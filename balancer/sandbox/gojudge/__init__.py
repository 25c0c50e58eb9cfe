"""Adapter for go-judge servers."""

from balancer.sandbox.http.hook import executor_hook

__all__ = ["balancer_executors"]

balancer_executors = executor_hook(
    "gojudge+http",
    "gojudge+https",
    executor="balancer.sandbox.gojudge.executor:GoJudgeExecutor",
    summary="runs programs on a go-judge server",
)

"""Fixtures of these tests."""

from tests.unit.command import balancer, registry

__all__ = ["balancer", "registry"]

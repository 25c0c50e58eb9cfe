"""Plugins: found once, looked at, and asked what they offer."""

from balancer.plugins.registry import BUILT_INS, Broken, Registered, Registry, default_registry

__all__ = ["BUILT_INS", "Broken", "Registered", "Registry", "default_registry"]

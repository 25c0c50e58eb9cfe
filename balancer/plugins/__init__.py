"""Plugins: found once, looked at, and asked what they offer."""

from balancer.plugins.registry import Broken, Registered, Registry, default_registry

__all__ = ["Broken", "Registered", "Registry", "default_registry"]

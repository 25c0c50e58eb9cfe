"""The plugin registry: built-in and third-party plugins."""

from balancer.plugins.registry import Broken, Registered, Registry, default_registry

__all__ = ["Broken", "Registered", "Registry", "default_registry"]

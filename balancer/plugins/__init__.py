"""The plugin registry: built-ins and third parties' plugins."""

from balancer.plugins.registry import Broken, Registered, Registry, default_registry

__all__ = ["Broken", "Registered", "Registry", "default_registry"]

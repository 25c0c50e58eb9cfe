"""What docs/health.md says of the states, made from the transitions themselves.

python -m tests.contracts.health_page      # prints the diagram, to be pasted
"""

from balancer.core.states import TRANSITIONS, Health

__all__ = ["diagram"]

_ARROW = "-->"


def diagram() -> str:
    """Return the transitions as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] {_ARROW} {Health.HEALTHY.value}"]
    lines += [
        f"    {before.value} {_ARROW} {after.value}: {event.value}" for (before, event), after in TRANSITIONS.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(diagram())

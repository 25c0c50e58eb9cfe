"""What pages say of states and figures, made from their tables.

python -m tests.contracts.made_pages      # prints the two diagrams and the table, to be pasted
"""

from balancer.core.metrics import figures_of
from balancer.core.states import MEMBERSHIP, TRANSITIONS
from balancer.observing.prometheus import ROWS

__all__ = ["diagrams", "metrics"]

_ARROW = "-->"


def _diagram(table, start):
    """Return transitions as a Mermaid state diagram. `start` is what a new endpoint is."""
    lines = ["stateDiagram-v2", f"    [*] {_ARROW} {start}"]
    lines += [f"    {before.value} {_ARROW} {after.value}: {event.value}" for (before, event), after in table.items()]
    return "\n".join(lines)


def diagrams():
    """Return the diagrams of docs/health.md: the states of an endpoint, and those of its health."""
    return [_diagram(MEMBERSHIP, "gone"), _diagram(TRANSITIONS, "healthy")]


def metrics():
    """Return the rows of the table of docs/live.md: a metric's name, its kind, its labels and what it means."""
    found = {}
    for kind, row in ROWS.items():
        for figure in figures_of(kind).values():
            if figure.metric:
                name = f"`balancer_{figure.metric}{'_total' * (figure.kind == 'counter')}`"
                shown = "gauge" if figure.kind == "state" else figure.kind
                labels = found.setdefault(name, (shown, figure.help, {row: []} if row else {}))[2]
                for label, value in figure.labels.items():
                    labels.setdefault(label, []).extend([value] if isinstance(value, str) else value)
    return [[name, kind, ", ".join(map(_label, labels.items())), help] for name, (kind, help, labels) in found.items()]


def _label(told):
    name, values = told
    return f"`{name}`" + (f" ({', '.join(values)})" if values else "")


if __name__ == "__main__":
    for diagram in diagrams():
        print(diagram, end="\n\n")
    for cells in metrics():
        print("|", " | ".join(cells).replace("|  |", "| |"), "|")

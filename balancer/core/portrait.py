"""A pool in one line, for an operator.

Decides what stands in it. It must not know more than can be looked at.
"""

from collections import Counter

from balancer.core.account import MembershipState
from balancer.core.ledger import Ledger

__all__ = ["portrait"]


def portrait(ledger: Ledger, *, waiting: int, panic: bool, closed: bool) -> str:
    """Return how the endpoints stand, what is in flight, who waits, and what became of the calls."""
    accounts = ledger.accounts()
    counts = Counter(account.state for account in accounts)
    states = ", ".join(f"{counts[state]} {state.value}" for state in MembershipState if counts[state])
    busy = sum(account.in_flight for account in accounts)
    slots = sum(account.limit for account in accounts)
    out = ledger.unfit()
    facts = [f"{busy}/{slots} in flight", f"{waiting} waiting", f"{ledger.granted} granted"]
    if ledger.calls:
        failed = ledger.failures
        facts += [f"{ledger.calls} calls", f"{failed} failed ({failed / ledger.calls:.1%})"]
    if ledger.overloads:
        facts.append(f"{ledger.overloads} overloaded")
    facts += ["panic"] * panic + ["closed"] * closed
    states += f", {out} of them out of service" if out else ""
    return f"{ledger.strategy.name}: {states or 'no endpoints'}; {', '.join(facts)}"

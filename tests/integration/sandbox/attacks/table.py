"""All hostile programs, by theme in the files beside this one."""

import platform

from tests.integration.sandbox.attacks.attack import Attack
from tests.integration.sandbox.attacks.crowds import CROWDS
from tests.integration.sandbox.attacks.forging import FORGERIES
from tests.integration.sandbox.attacks.machine import INTRUSIONS
from tests.integration.sandbox.attacks.memory import HOARDS
from tests.integration.sandbox.attacks.output import FLOODS
from tests.integration.sandbox.attacks.talking import TALKS
from tests.integration.sandbox.attacks.times import TIMES

__all__ = ["ATTACKS", "IN_PART"]

_ALL: list[Attack] = [*TIMES, *CROWDS, *HOARDS, *FORGERIES, *TALKS, *INTRUSIONS, *FLOODS]

ATTACKS = [attack for attack in _ALL if platform.machine() == "x86_64" or not attack.by_number]

# Where a protection cannot be had: those that it would have met, and that must get nowhere all the same.
IN_PART = {
    "groups": [a for a in (*TIMES, *CROWDS, *HOARDS) if a in ATTACKS and "groups" not in a.needs],
    "calls": [a for a in ATTACKS if (a.by_number or a in HOARDS or a in FORGERIES) and "calls" not in a.needs],
}

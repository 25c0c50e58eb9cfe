"""One pool for many processes: who owns the slots, who holds them, and what they say to each other.

Pure, like the core on which it stands: no clock, thread or socket. Messages and instants come in, messages and instants
go out. docs/decisions/0037 has the reasons, docs/many-machines.md what dies and what is lost.
"""

from balancer.cluster.protocol.holder import Holder
from balancer.cluster.protocol.owner import Owner
from balancer.cluster.protocol.record import Record
from balancer.cluster.protocol.times import Times

__all__ = ["Holder", "Owner", "Record", "Times"]

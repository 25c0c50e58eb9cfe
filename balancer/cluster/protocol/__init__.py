"""Cluster protocol: a coordinator that has the slots, members that lease them, and the messages between them.

Pure, like the core on which it stands: no clock, thread or socket. Messages and instants come in, messages and instants
go out. docs/decisions/cluster.md has the reasons, docs/many-machines.md what dies and what is lost.
"""

from balancer.cluster.protocol.coordinator import Coordinator
from balancer.cluster.protocol.grace import CoordinatorRecord
from balancer.cluster.protocol.member import ClusterMember
from balancer.cluster.protocol.times import ClusterTimes

__all__ = ["ClusterMember", "ClusterTimes", "Coordinator", "CoordinatorRecord"]

"""Cluster protocol: a coordinator that owns the slots, members that lease them, and the messages between them.

It has no clock, thread or socket: messages and times come in, messages and times go out. docs/decisions/cluster.md has
the reasons. docs/many-machines.md says what is lost when a process dies.
"""

from balancer.cluster.protocol.coordinator import Coordinator
from balancer.cluster.protocol.grace import CoordinatorRecord
from balancer.cluster.protocol.member import ClusterMember
from balancer.cluster.protocol.times import ClusterTimes

__all__ = ["ClusterMember", "ClusterTimes", "Coordinator", "CoordinatorRecord"]

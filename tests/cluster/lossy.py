"""Machines for tests with a bad network between them: network namespaces, and a relay that delays and loses packets.

The relay stands between TUN devices, so it needs no `tc netem`, which kernels of many virtual machines lack. It sees
whole IP packets, and TCP sends again what is lost. Linux, iproute2, /dev/net/tun, root.
"""

import fcntl
import heapq
import os
import random
import selectors
import struct
import threading
import time
from contextlib import suppress
from typing import Final

from tests.cluster.cut import CannotCut, Namespaces

__all__ = ["LossyNetwork"]

_TUNSETIFF: Final = 0x400454CA
_TUN: Final = 0x0001 | 0x1000  # IP packets, with nothing before them
_LONGEST: Final = 65_536
_TO: Final = slice(16, 20)  # where an IPv4 packet says who is to get it
_LOOK_S: Final = 0.1


class LossyNetwork(Namespaces):
    """Machines, each with one device to all others.

    Args:
        machines: how many.
        loss: the share of packets that are lost, each way.
        delay_s: how long a packet takes, each way.
        seed: of what is lost.

    Attributes:
        sides: what a command begins with that is to run on each machine.
        addresses: of the machines.
        carried, lost: packets so far.

    Raises:
        CannotCut: this machine has no such thing, or does not let us.
    """

    def __init__(self, machines: int, loss: float, delay_s: float, seed: int = 1) -> None:
        super().__init__()
        if os.geteuid() != 0:
            raise CannotCut("it needs root")
        self.addresses = [f"10.98.0.{number + 1}" for number in range(machines)]
        self.sides: list[list[str]] = []
        self.carried = self.lost = 0
        self._loss, self._delay_s, self._rng = loss, delay_s, random.Random(seed)
        self._devices: dict[bytes, int] = {}
        self._under_way: list[tuple[float, int, int, bytes]] = []  # when it arrives, its number, the device, the packet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._relay, name="lossy", daemon=True)
        try:
            for number, address in enumerate(self.addresses):
                self._add(f"lossy{number}", address)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def _add(self, device: str, address: str) -> None:
        side = self._namespace(["unshare", "--net"])
        try:
            file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self._devices[bytes(map(int, address.split(".")))] = file
            fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH", device.encode(), _TUN))
        except OSError as error:
            raise CannotCut(f"/dev/net/tun: {error.strerror}") from None
        self._ip([], "link", "set", device, "netns", str(self._keepers[-1].pid))  # the file stays its other end
        self._ip(side, "addr", "add", f"{address}/24", "dev", device)
        for each in ("lo", device):
            self._ip(side, "link", "set", each, "up")
        self.sides.append(side)

    def _relay(self) -> None:
        """Take packets from all devices, and give each to its own when its time has come."""
        with selectors.DefaultSelector() as ready:
            for file in self._devices.values():
                ready.register(file, selectors.EVENT_READ)
            while not self._over.is_set():
                wait_s = self._under_way[0][0] - time.monotonic() if self._under_way else _LOOK_S
                for key, _ in ready.select(max(0.0, min(wait_s, _LOOK_S))):
                    self._take(key.fd)
                while self._under_way and self._under_way[0][0] <= time.monotonic():
                    _, _, file, packet = heapq.heappop(self._under_way)
                    with suppress(OSError):  # its queue is full: lost, as in any network
                        os.write(file, packet)

    def _take(self, file: int) -> None:
        with suppress(BlockingIOError):
            while True:
                packet = os.read(file, _LONGEST)
                to = self._devices.get(packet[_TO])
                if to is None:  # e.g. of IPv6, for all neighbours
                    continue
                self.carried += 1
                if self._rng.random() < self._loss:
                    self.lost += 1
                else:
                    arrives_s = time.monotonic() + self._delay_s
                    heapq.heappush(self._under_way, (arrives_s, self.carried, to, packet))

    def close(self) -> None:
        """Leave nothing behind."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        super().close()
        for file in self._devices.values():
            os.close(file)

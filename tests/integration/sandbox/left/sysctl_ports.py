"""A setting of the kernel."""


def leave() -> None:
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write("20000 20017")


def look() -> bool:
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        return file.read().split() == ["20000", "20017"]

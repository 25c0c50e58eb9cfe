"""Programs that want to change the machine, or to get at more of its kernel than a program needs."""

from tests.integration.sandbox.attacks.attack import EVERYWHERE, ISOLATED, Attack

__all__ = ["INTRUSIONS"]

CALLS = frozenset({"calls"})


def _refused(name: str, calls: str, on: frozenset[str] = EVERYWHERE, needs: frozenset[str] = frozenset()) -> Attack:
    """An attack by calls (numbers and arguments, separated by semicolons), each of which must be refused."""
    source = "CALL\n" + "".join(
        f"got = call({call.strip()})\nif not isinstance(got, str): print({call.strip()!r}, got)\n"
        for call in calls.split(";")
    )
    return Attack(name, source, prints="", on=on, needs=needs)


INTRUSIONS = [
    _refused("mounts", "165, b'tmpfs', b'/tmp', b'tmpfs', 0, 0; 166, b'/usr', 2; 155, b'/', b'/tmp'; 161, b'/tmp'"),
    _refused(
        "mounts of a new kind",
        "428, -100, b'/', 1; 430, b'tmpfs', 0; 429, 0, b'', -100, b'/tmp', 4; 442, -100, b'/', 0, 0, 0",
    ),
    _refused(
        "namespaces by unshare", ";".join(f"272, {1 << bit}" for bit in (7, 17, 25, 26, 27, 28, 29, 30)), ISOLATED
    ),
    _refused(
        "namespaces by clone",
        ";".join(f"56, {(1 << bit) | 17}, 0, 0, 0, 0" for bit in (17, 25, 26, 27, 28, 29, 30)),
        ISOLATED,
    ),
    _refused(
        "namespaces by clone3", "435, (ctypes.c_ulong * 11)(0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88", ISOLATED
    ),
    _refused(
        "namespaces of others",
        "308, os.open('/proc/self/ns/net', 0), 0; 308, os.open('/proc/self/ns/user', 0), 0x10000000",
    ),
    _refused(
        "programs in the kernel",
        "321, 0, ctypes.create_string_buffer(128), 128; 321, 5, ctypes.create_string_buffer(128), 128",
    ),
    _refused("counters of the machine", "298, (ctypes.c_uint * 32)(1, 128), 0, -1, -1, 0"),
    _refused("io_uring", "425, 8, ctypes.create_string_buffer(128)", needs=CALLS),
    _refused("userfaultfd", "323, 0; 323, 1", needs=CALLS),
    _refused(
        "watching files",
        "300, 0, 0; 303, -100, b'/usr', ctypes.create_string_buffer(128), ctypes.byref(ctypes.c_int()), 0",
        needs=CALLS,
    ),
    _refused(
        "clock, name and power of the machine",
        "164, (ctypes.c_long * 2)(0, 0), 0; 170, b'x', 1; 171, b'x', 1; 169, 0xFEE1DEAD, 672274793, 0; "
        "227, 0, (ctypes.c_long * 2)(0, 0)",
    ),
    _refused(
        "modules and kernels",
        "175, 0, 0, b''; 313, 0, b'', 0; 176, b'x', 0; 246, 0, 0, 0, 0; 167, b'/tmp/x', 0; 163, b'/tmp/x'",
    ),
    _refused("ports of the machine", "172, 3; 173, 0, 1, 1; 154, 1, ctypes.create_string_buffer(16), 16", needs=CALLS),
    _refused("devices", "133, b'/tmp/d', 0o60666, 0x800; 133, b'/tmp/c', 0o20666, 0x101"),
    Attack(
        "calls of 32 bits",
        """
        #include <stdio.h>
        int main() {
            long got;
            asm volatile("int $0x80" : "=a"(got) : "a"(20L) : "memory");
            printf("%ld\\n", got);
            return got > 0 ? 0 : 7;
        }
        """,
        exits=(-31, -11, 7),  # the second and third: a kernel that knows none
        language="cpp",
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "calls of x32",
        """
        CALL
        print(call(0x40000000 + 39))
        """,
        exits=(-31,),
        on=EVERYWHERE,
        needs=CALLS,
    ),
    Attack(
        "writing elsewhere",
        """
        import os
        places = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/stage", "/stage/files", "/usr/lib"]
        for place in places:
            try: open(os.path.join(place, "x"), "w"); print("wrote to", place)
            except OSError: pass
        for file in ("/stage/stdin", "/stage/sh", "/etc/ld.so.cache", "/usr/bin/python3", "/proc/sys/kernel/hostname"):
            try: open(file, "r+"); print("opened", file)
            except OSError: pass
            try: os.chmod(file, 0o777); print("changed", file)
            except OSError: pass
        """,
        prints="",
    ),
    Attack(
        "privileges",
        """
        import ctypes, os, resource
        status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
        print([status[key].strip("0") for key in ("CapEff", "CapPrm", "CapInh", "CapBnd")], status["NoNewPrivs"])
        libc = ctypes.CDLL(None)
        print([libc.unshare(flag) for flag in (0x10000000, 0x00020000, 0x40000000)])
        print(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), libc.umount(b"/usr"), libc.chroot(b"/tmp"))
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
            try: resource.setrlimit(kind, (2**40, 2**40)); print("raised", kind)
            except ValueError: pass
        """,
        prints="['', '', '', ''] 1\n[-1, -1, -1]\n-1 -1 -1\n",
    ),
    Attack(
        "folders too deep to remove",
        """
        import os
        for _ in range(500): os.mkdir("d" * 100); os.chdir("d" * 100)
        open("x", "w"); os.chmod(".", 0)
        print("deep")
        """,
        prints="deep\n",
        on=EVERYWHERE,
    ),
]

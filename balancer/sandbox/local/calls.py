"""Filter of system calls (seccomp): a table of the calls that a program may not make.

No contest program needs them: calls that look into other processes, leave things in the kernel that outlive a run or
escape its limits, change the machine, or make a sandbox. A forbidden call fails as unknown (ENOSYS), or with EPERM if
only some uses are forbidden.

libseccomp writes the filter; most systems have it.
"""

import ctypes
import errno
import functools
import os
import tempfile
from collections.abc import Iterator

__all__ = ["filter_of_calls"]

# Looking into other processes. Any of these on the first process of the sandbox would forge what it reports.
_OTHERS = "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd move_pages"
# Keys belong to the user, not to the namespace: another run could read them.
_KEYS = "add_key request_key keyctl"
# Memory that counts for no process, so no limit of address space covers it.
_MEMORY = (
    "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl "
    "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr memfd_create memfd_secret"
)
# Wide doors into the kernel.
_DOORS = (
    "userfaultfd bpf perf_event_open io_uring_setup io_uring_enter io_uring_register fanotify_init vmsplice modify_ldt "
    "vm86 vm86old"
)
# The machine, its file systems, its clock, its modules.
_MACHINE = (
    "mount umount umount2 move_mount mount_setattr open_tree fsopen fsconfig fsmount fspick pivot_root chroot "
    "open_by_handle_at name_to_handle_at setns unshare swapon swapoff quotactl quotactl_fd acct reboot syslog "
    "kexec_load kexec_file_load init_module finit_module delete_module create_module query_module get_kernel_syms "
    "settimeofday stime clock_settime clock_settime64 adjtimex clock_adjtime clock_adjtime64 iopl ioperm uselib "
    "lookup_dcookie nfsservctl vhangup sethostname setdomainname _sysctl"
)
# No filter can see the flags of `clone3`. Without it, glibc and musl make threads by `clone`.
_UNSEEN = "clone3"

_NAMESPACES = 0x7E020080  # all of CLONE_NEW*: time, mount, cgroup, uts, ipc, user, pid, net
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STEAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing on a terminal for its user


# Of libseccomp's <seccomp.h>.
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_BAD_ARCH, _OPTIMIZE = 2, 8
_NE, _EQ, _GT, _MASKED_EQ = 1, 4, 6, 7


class _Compared(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@functools.cache
def filter_of_calls() -> tuple[bytes, str]:
    """Return the filter as bytes for the kernel, or no bytes and the reason why there is none.

    Made once per process, in some milliseconds.
    """
    try:
        library = ctypes.CDLL("libseccomp.so.2")
        library.seccomp_init.restype = ctypes.c_void_p
        filtered = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
        try:
            return _written(library, filtered), ""
        finally:
            library.seccomp_release(filtered)
    except (AttributeError, OSError) as error:
        return b"", f"no seccomp: {error}; install libseccomp2"


def _written(library: ctypes.CDLL, filtered: ctypes.c_void_p) -> bytes:
    def refuse(code: int, name: str, *only_if: _Compared) -> None:
        """Make the call fail, if all comparisons hold. One that is unknown on this architecture is left out."""
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            rule = (filtered, ctypes.c_uint32(_ERRNO | code), number, len(only_if))
            _check(library.seccomp_rule_add_array(*rule, (_Compared * len(only_if))(*only_if)))

    library.seccomp_attr_set(filtered, _OPTIMIZE, 2)  # a tree, as it runs at every call; libseccomp before 2.5 has none
    # On another architecture the numbers mean other calls.
    _check(library.seccomp_attr_set(filtered, _BAD_ARCH, ctypes.c_uint32(_KILL_PROCESS)))
    for name in f"{_OTHERS} {_KEYS} {_MEMORY} {_DOORS} {_MACHINE} {_UNSEEN}".split():
        refuse(errno.ENOSYS, name)
    for flag in _bits(_NAMESPACES):
        refuse(errno.EPERM, "clone", _Compared(0, _MASKED_EQ, flag, flag))
    # Another process could set a limit that ends the first one.
    refuse(errno.EPERM, "prlimit64", _Compared(0, _NE, 0))
    for family in {*range(_NETLINK + 1)} - {_UNIX, _INET, _INET6, _NETLINK}:
        refuse(errno.EAFNOSUPPORT, "socket", _Compared(0, _EQ, family))
    # AF_VSOCK, for one, knows no network namespaces: it leads to the host of a virtual machine.
    refuse(errno.EAFNOSUPPORT, "socket", _Compared(0, _GT, _NETLINK))
    for request in _STEAL_INPUT:
        refuse(errno.EPERM, "ioctl", _Compared(1, _MASKED_EQ, 0xFFFFFFFF, request))
    with tempfile.TemporaryFile() as file:
        _check(library.seccomp_export_bpf(filtered, file.fileno()))
        return os.pread(file.fileno(), 2**20, 0)


def _check(code: int) -> None:
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1

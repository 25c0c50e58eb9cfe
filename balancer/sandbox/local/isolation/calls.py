"""Filter of system calls (seccomp): a table of the calls that a program may not make.

No contest program needs them: calls that look into other processes, leave things in the kernel that outlive a run or
escape its limits, change the machine, or make a sandbox. A forbidden call fails as unknown (ENOSYS), or with EPERM if
only some uses are forbidden.

libseccomp writes the filter; most systems have it.
"""

import contextlib
import errno
import functools
import os
import tempfile
from collections.abc import Iterator
from typing import Any

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


@functools.cache
def filter_of_calls() -> tuple[bytes, str]:
    """Return the filter as bytes for the kernel, or no bytes and the reason why there is none.

    Made once per process, in some milliseconds.
    """
    try:
        import pyseccomp  # it looks for the library when it is imported
    except ModuleNotFoundError:
        return b"", "no pyseccomp; install the extra pipeline or server of balancer"
    except (ImportError, RuntimeError, OSError) as error:
        return b"", f"no seccomp: {error}; install libseccomp2"
    return _written(pyseccomp), ""


def _written(pyseccomp: Any) -> bytes:
    refuse = pyseccomp.ERRNO(errno.EPERM)
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    with contextlib.suppress(OSError, ValueError):  # libseccomp before 2.5 does not know it
        calls.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)  # a tree in place of a list: the filter is run at every call
    # On another architecture the numbers mean other calls.
    calls.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    for name in _known(pyseccomp, f"{_OTHERS} {_KEYS} {_MEMORY} {_DOORS} {_MACHINE} {_UNSEEN}"):
        calls.add_rule(pyseccomp.ERRNO(errno.ENOSYS), name)
    for flag in _bits(_NAMESPACES):
        calls.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    # Another process could set a limit that ends the first one.
    calls.add_rule(refuse, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    for family in range(_NETLINK + 1):
        if family not in (_UNIX, _INET, _INET6, _NETLINK):
            calls.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), "socket", pyseccomp.Arg(0, pyseccomp.EQ, family))
    # AF_VSOCK, for one, knows no network namespaces: it leads to the host of a virtual machine.
    calls.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), "socket", pyseccomp.Arg(0, pyseccomp.GT, _NETLINK))
    for request in _STEAL_INPUT:
        calls.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, request))
    with tempfile.TemporaryFile() as file:
        calls.export_bpf(file)
        return os.pread(file.fileno(), 2**20, 0)


def _known(pyseccomp: Any, names: str) -> Iterator[str]:
    """Yield the `names` that the library knows for this architecture."""
    for name in names.split():
        try:
            number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)
        except (ValueError, OSError):
            continue
        if number >= 0:
            yield name


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1

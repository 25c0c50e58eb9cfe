"""The words of an error: the nearest name, and pydantic's errors for people who write TOML."""

import errno
import socket

import pytest

from balancer.values.wording import did_you_mean, why_not_listening


@pytest.mark.parametrize(
    ("name", "words"), [("leest_in_flight", "; did you mean 'least_in_flight'?"), ("FIFO", ""), ("zzz", ""), ("", "")]
)
def test_the_nearest_name_is_offered_if_there_is_one(name, words):
    assert did_you_mean(name, ["fifo", "least_in_flight"]) == words


def test_where_nothing_exists_nothing_is_offered():
    assert did_you_mean("fifo", []) == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EADDRINUSE, "whatever"), "Address already in use; choose another port, or stop what"),
        (OSError(errno.EADDRNOTAVAIL, "whatever"), "it is not an address of this machine; choose another host"),
        (
            OSError("could not bind on any address out of []"),
            "it is not an address of this machine; choose another host",
        ),
        (socket.gaierror(-2, "Name or service not known"), "it is not an address of this machine; choose another host"),
        (OSError(errno.EACCES, "whatever"), "Permission denied; choose a port of 1024 or more"),
        (OSError(errno.EMFILE, "whatever"), "Too many open files; choose another port"),
        (OverflowError("port must be 0-65535."), "port must be 0-65535.; choose another port"),
    ],
)
def test_why_a_server_cannot_listen(error, words):
    assert why_not_listening(error).startswith(words)

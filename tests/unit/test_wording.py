"""The words of an error: the nearest name, and pydantic's errors for people who write TOML."""

import errno
import socket
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from balancer.values.wording import describe, did_you_mean, why_not_listening


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


def _refuse(value):
    raise ValueError(f"{value!r} will not do")


class _Table(BaseModel):
    low: int = 0
    high: int = 0

    @model_validator(mode="after")
    def _in_order(self):
        if self.low > self.high:
            raise ValueError(f"low: {self.low} is more than high, {self.high}")
        return self


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    count: Annotated[int, Field(ge=1)] = 1
    name: str = ""
    refused: Annotated[str, AfterValidator(_refuse)] = ""
    names: list[str] = []
    table: dict[str, str] = {}
    span: _Table = _Table()


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"count": 0}, "found 0: it must be >= 1"),
        ({"count": "0"}, "found '0': it must be a whole number; leave out the quotes"),
        ({"name": 5}, "found 5: it must be a text in quotes"),
        ({"name": {"a": "b"}}, "found a table: it must be a text in quotes"),
        ({"name": ["a"]}, "found a list: it must be a text in quotes"),
        ({"names": {}}, "found a table: it must be a list, such as ['a', 'b']; a list of tables is written [[name]]"),
        ({"table": 5}, "found 5: it must be a table"),
        ({"span": {"low": 5}}, "low: 5 is more than high, 0"),
        ({"refused": "x"}, "found 'x': 'x' will not do"),
        ({"cuont": 5}, "unknown key; did you mean 'count'? (known: count, name, names, refused, span, table)"),
        ({"count": "x" * 200}, f"found '{'x' * 76}...: it must be a whole number; leave out the quotes"),
    ],
)
def test_an_error_says_what_was_found_and_what_is_allowed(found, line):
    assert describe(_error_of(found), _Model.model_fields) == line


@pytest.mark.parametrize("found", [{"count": "hush"}, {"refused": "hush"}, {"name": ["hush"]}, {"table": "hush"}])
def test_a_secret_is_not_shown_by_any_kind_of_error(found):
    line = describe(_error_of(found), _Model.model_fields, secret=True)
    assert line.startswith("found a value that is not shown: ")
    assert "hush" not in line


def test_a_secret_in_a_table_is_not_shown_either():
    line = describe(_error_of({"span": {"low": 77}}), _Model.model_fields, secret=True)
    assert line == "found a value that is not shown: it cannot be used here"


def _error_of(found):
    with pytest.raises(ValidationError) as caught:
        _Model.model_validate(found)
    return caught.value.errors()[0]

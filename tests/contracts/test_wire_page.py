"""docs/wire.md says what is on the wire: its tables are the codec's, its frames are messages."""

import dataclasses
import re

import pytest

from balancer.cluster.protocol import messages as m
from balancer.cluster.tcp import codec
from balancer.cluster.tcp.codec import MessageSplitter, Opening, read_from_coordinator, read_from_member
from tests.contracts.documents import ROOT, blocks, rows

_PAGE = ROOT / "docs" / "wire.md"
_CODE = re.compile(r"`(\w+)`")


@pytest.mark.parametrize(
    ("heading", "kinds", "mine"),
    [("Messages", codec._HEADS, range(10)), ("Words", codec._WORDS, range(20))],
    ids=["messages", "words"],
)
def test_the_tables_are_those_of_the_codec(heading, kinds, mine):
    told = {
        int(kind): (_CODE.findall(name), who, _CODE.findall(fields)) for kind, name, who, fields in rows(_PAGE, heading)
    }
    assert told == {
        number: (
            [kind.__name__],
            "client" if number in mine else "server",
            [each.name for each in dataclasses.fields(kind)],
        )
        for number, kind in kinds.items()
    }


def test_the_frames_are_messages():
    (example,) = (block.code for block in blocks(_PAGE) if block.language == "text")
    found = []
    for line in example.splitlines():
        side, frame = line.split(" ", 1)
        (body,) = MessageSplitter().feed(bytes.fromhex(frame))
        found.append((read_from_member if side == ">" else read_from_coordinator)(body))
    who = m.MemberId("go client", "1f")
    assert found == [
        Opening(3, "", who, None),
        m.JoinRequest(who, 12.5),
        m.SessionOffer(1764150000000, 7),
        m.SessionStart(who, 1764150000000, 7, 12.75, ()),
    ]

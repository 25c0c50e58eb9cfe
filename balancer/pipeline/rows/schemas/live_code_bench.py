"""LiveCodeBench: private tests are JSON, or JSON in a pickle that is compressed, as base64.

Columns: https://huggingface.co/datasets/livecodebench/code_generation_lite. The pickle may come from anywhere, so it
is not unpickled: it must be a single text, which is read off its operations.
"""

import base64
import pickletools
import zlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.rows.columns import RowProblem, RowSchema, name_in, parsed, text
from balancer.pipeline.rows.row_tests import listed_tests, refuse_calls

__all__ = ["SCHEMA"]

_MOST = 2**30  # bytes of the private tests of one row
_TEXT = frozenset({"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})  # operations: one of these, and these:
_AROUND = frozenset({"PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"})
_OPERATIONS = 16  # at most; pickles of a text have up to 5


def _read(row: Mapping[str, Any]) -> RowProblem:
    metadata = parsed(row, "metadata")
    refuse_calls("metadata", {"metadata": metadata})
    column = "private_test_cases"
    private = row.get(column)
    if isinstance(private, str) and private.strip()[:1] not in ("", "[", "{"):
        private = _unpacked(column, private)
    else:
        private = parsed(row, column)
    public = listed_tests("public_test_cases", parsed(row, "public_test_cases"), "public")
    return RowProblem(
        id=name_in(row, "question_id", "question_title"),
        statement=text(row, "question_content", needed=False),
        time_limit_s=None,
        memory_bytes=None,
        tests=(*public, *listed_tests(column, private, "private")),
        right=(),
        wrong=(),
    )


def _unpacked(column: str, packed: str) -> Any:
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(packed, validate=True), _MOST)
        if inflater.unconsumed_tail:
            raise ValueError(f"it has more than {_MOST // 2**20} MiB")
        operations = islice(pickletools.genops(data), _OPERATIONS)
        texts: list[Any] = []
        names: list[str] = []
        for opcode, value, _ in operations:
            names.append(opcode.name)
            if opcode.name in _TEXT:
                texts.append(value)
            elif opcode.name not in _AROUND:
                break
    except Exception as error:  # a broken pickle may raise anything
        why = f"{type(error).__name__}: {ascii(str(error))[1:-1][:100]}"
        raise PackageError(f"{column}: is neither JSON nor base64 of a compressed pickle: {why}") from None
    if names[-1] != "STOP" or len(texts) != 1:
        raise PackageError(f"{column}: its pickle has {', '.join(names)[-80:]}; it must hold a single text, of JSON")
    return parsed({column: texts[0]}, column)


SCHEMA = RowSchema(
    frozenset({"public_test_cases", "private_test_cases"}),
    "LiveCodeBench's (question_id, question_content, public_test_cases, private_test_cases)",
    _read,
    ignored=("starter_code",),
)

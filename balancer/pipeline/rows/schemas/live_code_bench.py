"""LiveCodeBench: private tests are JSON, or JSON in a pickle that is compressed, as base64.

Columns: https://huggingface.co/datasets/livecodebench/code_generation_lite. The pickle may come from anywhere, so it
is read without any class or function: it can only hold plain values.
"""

import base64
import io
import pickle
import zlib
from collections.abc import Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.rows.columns import RowProblem, RowSchema, name_in, parsed, short, text
from balancer.pipeline.rows.row_tests import listed_tests, refuse_calls

__all__ = ["SCHEMA"]

_MOST = 2**30  # bytes of the private tests of one row


class PlainUnpickler(pickle.Unpickler):
    """Reads values of Python's own types. Whatever names a class or function is refused, so nothing is run."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}, and only plain values are read")


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
            raise PackageError(f"{column}: has more than {_MOST // 2**20} MiB")
        found = PlainUnpickler(io.BytesIO(data)).load()
    except PackageError:
        raise
    except Exception as error:  # a broken pickle may raise anything
        why = f"{type(error).__name__}: {ascii(str(error))[1:-1][:100]}"
        raise PackageError(f"{column}: is neither JSON nor base64 of a compressed pickle of a text: {why}") from None
    if not isinstance(found, str):
        raise PackageError(f"{column}: its pickle holds {short(found)}; it must hold a text of JSON")
    return parsed({column: found}, column)


SCHEMA = RowSchema(
    frozenset({"public_test_cases", "private_test_cases"}),
    "LiveCodeBench's (question_id, question_content, public_test_cases, private_test_cases)",
    _read,
    ignored=("starter_code",),
)

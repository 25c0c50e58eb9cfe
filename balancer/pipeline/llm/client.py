"""Ask one server that speaks OpenAI's API, with bounds on time and size that hold whatever the server does.

Decides how an answer is kept to its form on a server that knows more or less of it. It must not know other servers, nor
when a question is asked again.
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx2
from openai import BadRequestError, OpenAI, RateLimitError, UnprocessableEntityError

from balancer.errors import BalancerError, EndpointError
from balancer.pipeline.llm.answer import answer_schema
from balancer.sandbox.http.deadline import DEADLINE, DeadlineTransport
from balancer.settings.llm import LlmSettings

__all__ = ["ModelClient", "Quota", "Reply"]

_MOST_BODY = 32 * 2**20  # bytes
_Form = Literal["schema", "json", "text"]
_FORMS: tuple[_Form, ...] = ("schema", "json", "text")


class Quota(BalancerError):
    """The account that pays has nothing left: to ask again is no use."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Attributes:
        text: the model's words; None if there are none.
        refusal: its words where the server tells that it refused.
        cut: True if the answer was too long and ends somewhere.
        asked, answered: tokens, as the server counts them; where it does not, a quarter of the characters.
    """

    text: str | None
    refusal: str | None
    cut: bool
    asked: int
    answered: int


class ModelClient:
    """One server. Thread-safe.

    Args:
        base_url: e.g. "https://host/v1/".
        headers: sent with every request; "Authorization" is the key.
        settings: the model, and what is asked of the server.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], settings: LlmSettings) -> None:
        self._settings = settings
        self._forms: tuple[_Form, ...] = _FORMS if settings.structured == "auto" else (settings.structured,)
        verify = ssl.create_default_context() if base_url.startswith("https:") else None
        transport = _Bounded(DeadlineTransport(verify=verify), settings.timeout_s)
        self._http = httpx2.Client(transport=transport)
        # The pool retries, on other servers as well; what the library retries by itself would multiply.
        self._client = OpenAI(
            base_url=base_url, api_key="none", default_headers=dict(headers), max_retries=0, http_client=self._http
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, messages: list[dict[str, str]]) -> Reply:
        """Return the answer to `messages`, which have a role and a content each.

        Raises:
            EndpointError, openai.OpenAIError: the server did not answer as it should; the pool knows what they mean.
            Quota: the account has nothing left.
        """
        while True:
            form = self._forms[0]
            try:
                return self._reply(self._complete(messages, form), messages)
            except (BadRequestError, UnprocessableEntityError):
                # Most servers say in words of their own that they know no such form; so the next form is tried.
                if len(self._forms) == 1 or self._forms[0] != form:
                    raise
                self._forms = self._forms[1:]
            except RateLimitError as error:
                if error.code == "insufficient_quota":
                    raise Quota("the server says insufficient_quota: nothing is left of the account") from None
                raise

    def _complete(self, messages: list[dict[str, str]], form: _Form) -> Any:
        settings = self._settings
        more: dict[str, Any] = {} if settings.temperature is None else {"temperature": settings.temperature}
        if form == "schema":
            schema = {"name": "cases", "schema": answer_schema(), "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form == "json":
            more["response_format"] = {"type": "json_object"}
        return self._client.chat.completions.create(
            model=settings.model, messages=cast(Any, messages), max_tokens=settings.max_output_tokens, **more
        )

    def _reply(self, completion: Any, messages: list[dict[str, str]]) -> Reply:
        choices = getattr(completion, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        if message is None:
            raise EndpointError("the server answered, but not with a completion")
        text, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
        usage = getattr(completion, "usage", None)
        return Reply(
            text=text if isinstance(text, str) else None,
            refusal=refusal if isinstance(refusal, str) else None,
            cut=getattr(choice, "finish_reason", None) == "length",
            asked=_count(usage, "prompt_tokens", sum(len(each["content"]) for each in messages)),
            answered=_count(usage, "completion_tokens", len(text) if isinstance(text, str) else 0),
        )


def _count(usage: object, name: str, characters: int) -> int:
    found = getattr(usage, name, None)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else characters // 4 + 1


class _Bounded(httpx2.BaseTransport):
    """Gives every exchange a deadline, and cuts off a body that is too long."""

    def __init__(self, inner: DeadlineTransport, timeout_s: float) -> None:
        self._inner = inner
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions[DEADLINE] = time.monotonic() + self._timeout_s
        response = self._inner.handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        return httpx2.Response(response.status_code, headers=response.headers, stream=_Short(response.stream))

    def close(self) -> None:
        self._inner.close()


class _Short(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        left = _MOST_BODY
        for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise httpx2.RemoteProtocolError(f"the answer has more than {_MOST_BODY // 2**20} MiB")
            yield chunk

    def close(self) -> None:
        self._inner.close()

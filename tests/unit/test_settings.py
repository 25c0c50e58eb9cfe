"""Settings that Python code makes: a mistake is one line, as in a file, and a ValueError, as of an endpoint."""

import pickle
import re

import pytest
from pydantic import TypeAdapter, ValidationError

from balancer import HealthSettings, LimitSettings, QuotaSettings, RetrySettings
from balancer.settings.tables import HealthSection


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: QuotaSettings(requests_per_min=0),
            "QuotaSettings: requests_per_min: found 0: it must be a whole number >= 1",
        ),
        (
            lambda: QuotaSettings(request_per_min=3),
            "QuotaSettings: request_per_min: unknown key; did you mean 'requests_per_min'? (known: estimate, "
            "requests_per_min, tokens_per_min)",
        ),
        (lambda: QuotaSettings(), "QuotaSettings: a quota needs requests_per_min or tokens_per_min, or both"),
        (lambda: HealthSettings(cooldown_s=-1), "HealthSettings: cooldown_s: found -1: it must be a finite number > 0"),
        (
            lambda: LimitSettings(initial=0, kind="aimd"),
            "LimitSettings: initial: found 0: it must be a whole number >= 1",
        ),
        (
            lambda: RetrySettings(base_s=-1),
            "RetrySettings: base_s: found -1: it must be a finite number >= 0 and <= 3600",
        ),
        (
            lambda: HealthSection(ping="of"),
            "HealthSection: ping: found 'of': it must be 'off', 'ping' or 'program'",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_allowed(make, line):
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$") as caught:
        make()
    assert not isinstance(caught.value.__context__, ValidationError), "a traceback would show the long form as well"


def test_what_is_right_is_made_and_travels():
    quota = QuotaSettings(requests_per_min=5)
    assert quota == pickle.loads(pickle.dumps(quota))
    assert quota == TypeAdapter(QuotaSettings).validate_python({"requests_per_min": 5})

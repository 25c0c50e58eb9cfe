"""docs/judge.md says that the extra `pipeline` is all that a judge on HTTP servers needs: nothing else is imported."""

import subprocess
import sys

from balancer.plugins.extras import EXTRAS
from tests.patience import PATIENCE_S

_OTHERS = sorted({module for modules in EXTRAS.values() for module in modules} - {"aiohttp"})
_CODE = f"""\
import sys
sys.modules.update(dict.fromkeys({_OTHERS}))  # so they cannot be imported, nor found by find_spec
from balancer import Pool
from balancer.judge import Judge

for scheme in ("http", "gojudge+http", "judge0+http", "piston+http"):
    with Judge(Pool([scheme + "://127.0.0.1:1/"]), attempts=1, outage_s=0) as judge:
        print(judge.run("```python\\nprint(1)\\n```", [("", "1")]).verdict.value)
"""


def test_a_judge_on_servers_needs_no_more_than_its_extra(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CODE], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["unjudged"] * 4  # nobody listens there

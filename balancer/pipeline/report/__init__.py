"""What a run found, for people and for programs: a table in the terminal, `summary.json`, `report.html`."""

from balancer.pipeline.report.headline import nothing_judged
from balancer.pipeline.report.page import write_report
from balancer.pipeline.report.summary import print_summary

__all__ = ["nothing_judged", "print_summary", "write_report"]

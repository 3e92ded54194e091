"""Options of report: the group `report`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "report"
SHARED = ("published",)


@dataclass(frozen=True)
class ReportOptions:
    """The group `report`."""

    title: str = option("", "Headline of the page; empty = the study's question.")

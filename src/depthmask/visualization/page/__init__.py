"""One page that tells a run's whole story: made from its files, opened without a network."""

from depthmask.visualization.page.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]

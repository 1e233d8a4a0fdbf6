"""The report of a study, to be read in a browser."""

from cctuning.analysis.report.write import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "write_report"]

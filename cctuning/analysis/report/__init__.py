"""The report of a study, to be read in a browser."""

from cctuning.analysis.report.write import write_report

__all__ = ["write_report"]

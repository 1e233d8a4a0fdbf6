"""Names of the files that tell what a study's folder is."""

from pathlib import Path

SETTINGS_FILE = "probe.json"  # what its cells depend on: it is one
SUMMARY_FILE = "summary.json"  # all measures: it is finished
QUESTION_FILE = "question.json"  # of one question: it is finished


def is_study(folder: str | Path) -> bool:
    """Whether a probe wrote this folder."""
    return (Path(folder) / SETTINGS_FILE).is_file()

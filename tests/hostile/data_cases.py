"""Data sets that cannot be trained on."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.cases import Group
from tests.scripts import write_base, write_rows

CASES = Group("Data sets")


def arguments(folder: Path, data: str = "rows.jsonl", *more: str) -> list[str]:
    """Of a run that would train a tiny model on `data`."""
    write_base(folder / "base")
    run = ["model_name_or_path=base", f"data={data}", "output_dir=out", "use_cpu=true", "bf16=false"]
    return [*run, "max_steps=1", *more]


@CASES.case("UTF-16 text", error="rows.jsonl is UTF-16 text: save it as UTF-8")
def utf_16(folder: Path) -> list[str]:
    text = write_rows(folder / "rows.jsonl").read_text(encoding="utf-8")
    (folder / "rows.jsonl").write_text(text, encoding="utf-16")
    return arguments(folder)

"""The tables of probes side by side, from summaries that are written here by hand."""

import json
from types import SimpleNamespace

from cctuning.commands.studies.probe_tables import read_probe_tables


def scored(name, benchmark, metric, value, *, title="XNLI", main=False, language=None):
    return {
        "name": name, "benchmark": benchmark, "title": title, "metric": metric, "is_main": main,
        "language": language, "score": value, "interval": [value - 0.1, value + 0.1], "difference": None,
    }  # fmt: skip


def test_the_language_of_unseen_answers_stands_beside_their_accuracy(tmp_path):
    consistency = [
        scored("original", "xnli", "language_consistency,strict", 0.5),
        scored("original", "xnli", "language_consistency,strict", 0.25, language="sw"),
        scored("overall", "xnli", "language_consistency,strict", 0.75),
    ]
    accuracy = [
        scored("original", "xnli", "accuracy,paper", 0.125, main=True),
        scored("original", "xnli", "accuracy,strict", 0.0625),
        scored("overall", "xnli", "accuracy,paper", 0.25, main=True),
    ]
    content = {"scores": accuracy, "consistency": consistency, "warnings": []}
    mark = tmp_path / "summary.json"
    mark.write_text(json.dumps({"bounds": {}, "unseen": {"ffn": content, "block": content}}))
    step = SimpleNamespace(mark=mark, output=tmp_path)
    tables = read_probe_tables([SimpleNamespace(title="one", evaluations=[step])])
    values = {(record["questions"], record["row"]): record["value"] for record in tables.records}
    assert values == {
        ("unseen", "one, original"): 0.125,
        ("unseen", "one, overall, ffn"): 0.25,
        ("unseen", "one, overall, block"): 0.25,
        ("unseen consistency", "one, original"): 0.5,
        ("unseen consistency", "one, overall, ffn"): 0.75,
        ("unseen consistency", "one, overall, block"): 0.75,
    }
    lines = tables.markdown("Study", []).split("## Language consistency on unseen questions")[1].splitlines()
    assert any("one, overall, ffn" in line and "75.0" in line for line in lines)

"""Seconds and tokens add up over batches and calls, and a line that is none is named."""

import pytest

from cctuning.evaluation.asking.store import ResumeError, open_folder, stored_speeds
from cctuning.evaluation.asking.timings import TIMINGS_FILE, add_timing

BATCHES = [("xnli_sw", [3, 4], 2.0), ("mkqa_sw", [5], 0.5), ("xnli_sw", [1], 2.0)]


def add_all(folder):
    for task, tokens, seconds in BATCHES:
        add_timing(folder, task, [{"new_tokens": number} for number in tokens], seconds)


def test_batches_of_all_calls_add_up(tmp_path):
    assert stored_speeds(tmp_path) == {}
    add_all(tmp_path)
    assert stored_speeds(tmp_path) == {
        "xnli_sw": {"seconds": 4.0, "tokens_per_second": 2.0},
        "mkqa_sw": {"seconds": 0.5, "tokens_per_second": 10.0},
    }


def test_half_a_last_line_is_left_out_and_another_is_named(tmp_path):
    add_all(tmp_path)
    path = tmp_path / TIMINGS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert stored_speeds(tmp_path)["xnli_sw"]["seconds"] == 2.0
    path.write_bytes(whole + b'{"task": 3}\n')
    with pytest.raises(ResumeError, match=r"timings\.jsonl, line 4"):
        stored_speeds(tmp_path)


def test_starting_again_begins_with_none(tmp_path):
    open_folder(tmp_path, {}, {})
    add_all(tmp_path)
    open_folder(tmp_path, {}, {}, resume="never")
    assert stored_speeds(tmp_path) == {}

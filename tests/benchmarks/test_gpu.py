"""The parts of `benchmarks.gpu`: each alone, and whatever happens to one is named."""

import json
import sys
import time

import pytest

from benchmarks import gpu
from benchmarks.gpu import PARTS, Part, called, measured


def test_every_part_names_packages_that_a_full_installation_has():
    for part in PARTS.values():
        found = measured(Part(part.what, part.needs, lambda small, seconds: seconds), True, 5)
        assert found["results"] == 5, found


def failing(small, seconds):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("part", "seconds", "said"),
    [
        (Part("this", ("no_such_package",), failing), 9, {"left_out": "no_such_package not installed"}),
        (Part("this", (), failing), 0, {"left_out": "no time was left"}),
        (Part("this", (), failing), 9, {"failed": "RuntimeError: out of memory", "seconds": 0.0}),
    ],
)
def test_a_part_that_does_not_run_says_why(part, seconds, said):
    assert measured(part, True, seconds) == {"what": "this", **said}


def test_the_file_holds_all_parts_and_a_failed_one_ends_with_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {"good": Part("works", (), lambda small, seconds: [small]), "bad": Part("fails", (), failing)}
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.setattr(sys, "argv", ["gpu", "--small"])
    with pytest.raises(SystemExit, match="1"):
        gpu.main()
    written = json.loads((tmp_path / "outputs/benchmarks/gpu.json").read_text())
    assert [row["part"] for row in written["results"]] == ["good", "bad"]
    assert written["results"][0]["results"] == [True]


def run(commands, seconds=60, **options):
    return called(["sh", "-c", commands], seconds, **options)


def test_a_command_is_ended_with_what_it_started_when_its_time_is_over():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="did not end within 1 s"):
        run("sleep 60 | cat", 1)
    assert time.monotonic() - start < 30


def test_a_command_that_fails_shows_the_end_of_what_it_printed():
    with pytest.raises(RuntimeError, match="the reason"):
        run("echo the reason; exit 3")


def test_a_command_can_be_sent_sigterm_when_a_file_is_there(tmp_path):
    file = tmp_path / "checkpoint"
    assert run(f"echo now; touch {file}; exec sleep 60", until=file) == "now\n"
    with pytest.raises(RuntimeError, match=r"ended before .*other was there: now"):
        run("echo now", until=tmp_path / "other")

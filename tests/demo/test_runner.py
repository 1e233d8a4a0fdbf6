"""The demo's runner, on stages that only write a file."""

import sys

import pytest

from cctuning.tools.processes import Stage
from demo.runner import StageError, run_stages

pytestmark = pytest.mark.slow


def stage(folder, name, needs=(), code="open(sys.argv[1], 'a').write('x')"):
    output = folder / f"{name}.out"
    return Stage(name, (sys.executable, "-c", f"import sys; {code}", str(output)), output, tuple(needs))


def same_digest(stages):
    return {stage.name: "digest" for stage in stages}


def test_stages_run_after_what_they_need_and_only_once(tmp_path):
    copy = "open(sys.argv[1], 'w').write(open(sys.argv[1].replace('second', 'first')).read() + 'y')"
    stages = [stage(tmp_path, "second", needs=["first"], code=copy), stage(tmp_path, "first")]
    assert run_stages(stages, same_digest(stages), tmp_path, jobs=2) == ["first", "second"]
    assert (tmp_path / "second.out").read_text() == "xy"
    assert run_stages(stages, same_digest(stages), tmp_path, jobs=2) == []


def test_a_changed_stage_and_a_lost_output_run_again_from_the_beginning(tmp_path):
    stages = [stage(tmp_path, name) for name in ("one", "two", "three")]
    run_stages(stages, same_digest(stages), tmp_path, jobs=3)
    (tmp_path / "two.out").unlink()
    digests = {**same_digest(stages), "three": "other"}
    assert sorted(run_stages(stages, digests, tmp_path, jobs=3)) == ["three", "two"]
    assert (tmp_path / "three.out").read_text() == "x"


def test_a_failed_stage_stops_the_demo_with_the_end_of_its_log_and_is_not_finished(tmp_path):
    long = stage(tmp_path, "long", code="import time; time.sleep(600)")
    broken = stage(tmp_path, "broken", code="sys.exit('no such world')")
    with pytest.raises(StageError, match=r"broken ended with status 1(.|\n)*no such world"):
        run_stages([long, broken], same_digest([long, broken]), tmp_path, jobs=2)
    mended = [stage(tmp_path, "broken")]
    assert run_stages(mended, same_digest(mended), tmp_path, jobs=1) == ["broken"]

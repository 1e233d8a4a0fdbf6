"""Stages that only write a file, fail or wait."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from cctuning.tools import processes as stages
from cctuning.tools.processes import Stage, run_stages

pytestmark = pytest.mark.slow

WRITE = "open(sys.argv[1], 'a').write('x')"
FAIL = "sys.exit('no such thing')"
# A child of its own, which writes its number; both wait for a signal.
WAIT = (
    "import subprocess, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1], 'w').write(str(child.pid))\n"
    "time.sleep(600)"
)


def stage(folder, name, code=WRITE, needs=()):
    output = folder / f"{name}.out"
    return Stage(name, (sys.executable, "-c", f"import sys\n{code}", str(output)), output, tuple(needs))


def run(folder, made, **options):
    return run_stages(made, **{"finished": [], "logs": folder / "logs", "cwd": folder} | options)


def test_a_failure_stops_only_what_needs_it_where_the_others_are_to_go_on(tmp_path):
    made = [
        stage(tmp_path, "broken", FAIL),
        stage(tmp_path, "after", needs=["broken"]),
        stage(tmp_path, "last", needs=["after"]),
        stage(tmp_path, "other"),
    ]
    outcome = run(tmp_path, made, keep_going=True)
    assert (outcome.ran, list(outcome.failed), outcome.left_out) == (["other"], ["broken"], ["after", "last"])
    assert "broken ended with status 1" in outcome.failed["broken"]
    assert "no such thing" in outcome.failed["broken"]
    assert not (tmp_path / "after.out").exists()


def test_a_failure_ends_the_others_where_they_are_not_to_go_on(tmp_path):
    made = [stage(tmp_path, "long", WAIT), stage(tmp_path, "broken", FAIL), stage(tmp_path, "other")]
    outcome = run(tmp_path, made, jobs=2)
    assert (outcome.ran, list(outcome.failed), outcome.left_out) == ([], ["broken"], ["other"])


def test_what_is_finished_does_not_run(tmp_path):
    made = [stage(tmp_path, "one"), stage(tmp_path, "two", needs=["one"])]
    assert run(tmp_path, made, finished=["one"]).ran == ["two"]
    assert not (tmp_path / "one.out").exists()


def test_no_more_run_at_a_time_than_asked_for(tmp_path):
    running, most = set(), []
    made = [stage(tmp_path, str(number)) for number in range(5)]

    def before(stage):
        running.add(stage.name)
        most.append(len(running))

    run(tmp_path, made, jobs=2, before=before, after=lambda stage: running.remove(stage.name))
    assert max(most) == 2


def test_logs_are_added_to_and_the_environment_is_given(tmp_path):
    made = [stage(tmp_path, "a/b", "import os; print(os.environ['WORD'], os.getcwd())")]
    for word in ("first", "second"):
        run(tmp_path, made, environment={"WORD": word})
    folder = Path(tmp_path).resolve()
    assert (tmp_path / "logs" / "a-b.log").read_text() == f"first {folder}\nsecond {folder}\n"


def exists(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")  # one that nobody waits for stays as a zombie
    return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def interruptible():
    """Ctrl-C raises also where the tests run in the background, where shells have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_ends_the_processes_and_what_they_started(tmp_path, interruptible):
    def interrupt():
        while not (tmp_path / "long.out").is_file() or not (tmp_path / "long.out").read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [stage(tmp_path, "long", WAIT)])
    thread.join()
    child = int((tmp_path / "long.out").read_text())
    for _ in range(250):
        if not exists(child):
            break
        time.sleep(0.02)
    assert not exists(child)


def test_the_last_metrics_are_shown_and_a_line_that_is_being_written_is_not(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert stages._last_metrics(path) is None
    path.write_text('{"step": 1}\n{"step": 2, "loss": 0.5}\n')
    assert stages._last_metrics(path) == {"step": 2, "loss": 0.5}
    path.write_text('{"step": 1}\n{"st')
    assert stages._last_metrics(path) is None

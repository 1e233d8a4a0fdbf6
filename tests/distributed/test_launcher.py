import subprocess
import sys

import pytest
import yaml

from cctuning.distributed.launcher import LauncherOptions, launcher_options, read_command_line

pytestmark = pytest.mark.slow

LAUNCH = ["/usr/bin/python3", "/opt/venv/bin/accelerate", "launch"]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([*LAUNCH, "--cpu", "--num_processes", "2", "train.py", "recipe=tiny"], LauncherOptions(2, True)),
        ([*LAUNCH, "--cpu", "--num-processes=3", "train.py"], LauncherOptions(3, True)),
        (["python", "-m", "accelerate.commands.launch", "--cpu", "train.py"], LauncherOptions(None, True)),
        (["/opt/venv/bin/accelerate-launch", "--cpu", "--num_processes=2", "x"], LauncherOptions(2, True)),
        ([*LAUNCH, "--num_processes", "2", "-m", "cctuning", "train", "x=1"], LauncherOptions(2, False)),
        (["bash", "-c", "accelerate launch --cpu train.py"], None),
        (["python", "train.py", "run_name=launch"], None),
        ([], None),
    ],
)
def test_options_are_read_from_the_command_line(words, options):
    assert read_command_line(words) == options


def test_what_the_command_line_leaves_out_is_in_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"distributed_type": "MULTI_CPU", "num_processes": 4, "use_cpu": True}))
    words = [*LAUNCH, "--config_file", str(path)]
    assert read_command_line([*words, "train.py"]) == LauncherOptions(4, True)
    assert read_command_line([*words, "--num_processes", "2", "train.py"]) == LauncherOptions(2, True)


def test_the_parent_is_asked(tmp_path):
    assert launcher_options() is None  # pytest
    script = tmp_path / "accelerate"
    asks = "from cctuning.distributed.launcher import launcher_options; print(launcher_options())"
    script.write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {asks!r}], check=True)\n"
    )
    words = [sys.executable, str(script), "launch", "--cpu", "--num_processes", "2", "train.py"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert out.strip() == "LauncherOptions(processes=2, cpu=True)"

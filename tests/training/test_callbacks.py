import re

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.training.callbacks import (
    DecisionMakerCheck,
    MetricsFile,
    NoisePerRank,
    TemperatureSchedule,
    scheduled_temperature,
)
from cctuning.training.metrics import read_metrics
from tests.json_lines import read_lines


def state(step, **changes):
    return TrainerState(global_step=step, max_steps=10, **{"is_world_process_zero": True, **changes})


@pytest.fixture
def args(tmp_path):
    return TrainingArguments(output_dir=str(tmp_path), use_cpu=True, seed=5, report_to=[])


def log(callback, args, step, **values):
    callback.on_log(args, state(step), TrainerControl(), logs=values)


def test_the_metrics_file_has_one_json_object_per_log(tmp_path, args):
    metrics = MetricsFile(tmp_path / "new")
    metrics.on_train_begin(args, state(0), TrainerControl())
    log(metrics, args, 1, loss=2.5)
    log(metrics, args, 2, loss=1.5, **{"loss/sw": 1.0})
    written = read_lines(tmp_path / "new" / "metrics.jsonl")
    assert written == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5, "loss/sw": 1.0}]


@pytest.mark.parametrize(("start", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2, 3])])
def test_a_resumed_run_drops_the_lines_that_it_does_again(tmp_path, args, start, kept):
    metrics = MetricsFile(tmp_path)
    metrics.on_train_begin(args, state(0), TrainerControl())
    for step in (1, 2, 3):
        log(metrics, args, step, loss=float(step))
    again = MetricsFile(tmp_path)
    again.on_train_begin(args, state(start), TrainerControl())
    log(again, args, start + 1, loss=0.0)
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == [*kept, start + 1]


def test_a_line_that_was_cut_off_by_a_kill_is_dropped(tmp_path, args):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    MetricsFile(tmp_path).on_train_begin(args, state(1), TrainerControl())
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.0}]


def test_durations_are_left_out_since_they_depend_on_interruptions(tmp_path, args):
    metrics = MetricsFile(tmp_path)
    metrics.on_log(args, state(2), TrainerControl(), {"eval_loss": 1.0, "eval_runtime": 3.0})
    metrics.on_log(args, state(2), TrainerControl(), {"train_loss": 1.0, "train_runtime": 3.0, "epoch": 1.0})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 2, "eval_loss": 1.0}\n'


def test_only_the_first_process_writes(tmp_path, args):
    metrics = MetricsFile(tmp_path)
    metrics.on_train_begin(args, state(0, is_world_process_zero=False), TrainerControl())
    metrics.on_log(args, state(1, is_world_process_zero=False), TrainerControl(), logs={"loss": 1.0})
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("schedule", ["linear", "exponential"])
def test_the_temperature_depends_on_the_step_alone(args, schedule):
    connection = ConnectionConfig(temperature=4.0)
    callback = TemperatureSchedule(connection, 1.0, schedule)
    for step in (7, 3, 7, 0):
        callback.on_step_begin(args, state(step), TrainerControl())
        assert connection.temperature == scheduled_temperature(4.0, 1.0, step / 9, schedule)
    assert connection.temperature == 4.0
    callback.on_step_begin(args, state(9), TrainerControl())  # of the last of ten steps
    assert connection.temperature == pytest.approx(1.0)
    callback.on_train_begin(args, state(4), TrainerControl())  # resumed: the fourth step was the last
    assert connection.temperature == scheduled_temperature(4.0, 1.0, 3 / 9, schedule)
    expected = {"linear": 2.5, "exponential": 2.0}[schedule]
    assert scheduled_temperature(4.0, 1.0, 0.5, schedule) == pytest.approx(expected)


def test_ranks_draw_different_noise_and_the_first_keeps_the_trainers_seed(args, monkeypatch):
    draws = []
    for rank in range(3):
        monkeypatch.setattr(type(args), "process_index", property(lambda _, rank=rank: rank))
        torch.manual_seed(args.seed)
        NoisePerRank().on_train_begin(args, state(0), TrainerControl())
        draws.append(torch.rand(4))
    torch.manual_seed(args.seed)
    assert torch.equal(draws[0], torch.rand(4))
    assert not torch.equal(draws[0], draws[1]) and not torch.equal(draws[1], draws[2])


@pytest.mark.parametrize("line", ["{}", "[]", "null", "1", '"x"', '{"step": "x"}', '{"step": 1, "loss": []}'])
@pytest.mark.parametrize("place", [0, 2])
def test_a_line_of_another_kind_is_named(tmp_path, args, line, place):
    callback = MetricsFile(tmp_path)
    logged = ['{"step": 1, "loss": 2.0}', '{"step": 2, "loss": null}']
    callback.path.write_text("\n".join([*logged[:place], line, *logged[place:]]) + "\n")
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line {place + 1}: "):
        callback.on_train_begin(args, state(2), TrainerControl())
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line {place + 1}: "):
        read_metrics(callback.path)


def test_a_line_that_a_kill_has_cut_short_is_dropped(tmp_path, args):
    callback = MetricsFile(tmp_path)
    callback.path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    callback.on_train_begin(args, state(2), TrainerControl())
    assert read_lines(callback.path) == [{"step": 1, "loss": 2.0}]


@pytest.mark.parametrize(
    ("step", "entropy", "said"),
    [
        (1, 0.3, "decided before training.*decision_maker_norm"),
        (1, 1.3, None),
        (2, 0.3, None),
        (9, 1.386, None),
        (10, 1.386, "chooses at random.*decision_maker_lr_multiplier"),
        (10, 1.2, None),
    ],
)
def test_a_decision_maker_that_cannot_decide_is_warned_of(args, step, entropy, said):
    """Of four layers: the entropy is at most log 4 = 1.386."""
    warnings = []
    values = {"decision_maker/entropy": entropy} | {f"decision_maker/layer_{n:02d}": 0.25 for n in range(4)}
    log(DecisionMakerCheck(warnings.append), args, step, loss=1.0, **values)
    log(DecisionMakerCheck(warnings.append), args, step, loss=1.0)
    assert len(warnings) == (said is not None)
    assert said is None or re.search(said, warnings[0])

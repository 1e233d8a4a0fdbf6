import json
import os
import signal

import pytest
from transformers import TrainerCallback

from cctuning.training.checkpoints import check
from cctuning.training.interruption import StopOnSignal
from tests.training.test_trainer import arguments, connected_llama, trainer_for


class SignalAt(TrainerCallback):
    """Sends this process signals while a step runs."""

    def __init__(self, step, *numbers):
        self.step, self.numbers = step, numbers

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            for number in self.numbers:
                os.kill(os.getpid(), number)


SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def train_with(tmp_path, callback, **changes):
    stop = StopOnSignal()
    trainer = trainer_for(connected_llama(), arguments(tmp_path, **changes), callbacks=[callback, stop])
    with stop:
        trainer.train()
    return stop, trainer


@pytest.mark.usefixtures("heeds_a_hangup")
@pytest.mark.parametrize(
    ("number", "save_strategy"),
    [*((number, "no") for number in SIGNALS), (signal.SIGTERM, "steps"), (signal.SIGTERM, "epoch")],
)
def test_a_signal_finishes_the_step_and_saves_it(tmp_path, number, save_strategy):
    stop, trainer = train_with(tmp_path, SignalAt(2, number), save_strategy=save_strategy, save_steps=2)
    assert stop.stopped and stop.received == number
    assert trainer.state.global_step == 2
    assert check(tmp_path / "checkpoint-2").step == 2
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    assert state["global_step"] == 2
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


def test_a_signal_in_the_last_step_stops_nothing(tmp_path):
    stop, trainer = train_with(tmp_path, SignalAt(6, signal.SIGTERM))
    assert not stop.stopped and trainer.state.global_step == 6


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_with(tmp_path, SignalAt(2, signal.SIGINT, signal.SIGINT))
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_second_sigterm_is_the_same_request(tmp_path):
    stop, trainer = train_with(tmp_path, SignalAt(2, signal.SIGTERM, signal.SIGTERM))
    assert stop.stopped and trainer.state.global_step == 2


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError), StopOnSignal():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before

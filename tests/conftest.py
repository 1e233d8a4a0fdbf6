"""Settings that every test shares.

The environment is set before torch or transformers are imported: one thread per process (threads only
fight each other under xdist), no network, no telemetry, and a cache folder of this process's own, so that
tests neither read nor fill the user's cache and two workers never write the same dynamic module. Here they
are not imported: the process that starts xdist's workers needs neither.
"""

import atexit
import os
import shutil
import tempfile

_CACHE = tempfile.mkdtemp(prefix="cctuning-tests-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HOME=_CACHE,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    MPLBACKEND="Agg",
)

import functools  # noqa: E402
import gc  # noqa: E402
import importlib.metadata  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from contextlib import nullcontext  # noqa: E402

import pytest  # noqa: E402

# What is installed stays so: accelerate reads it thirty times in a training run.
importlib.metadata.metadata = functools.cache(importlib.metadata.metadata)
os.fsync = lambda file: None  # no test cuts the power: what is written need not be on the disk

_LAUNCHERS = ("ACCELERATE_", "FSDP_", "WORLD_SIZE", "LOCAL_", "RANK", "PMI_", "OMPI_", "MV2_")


def pytest_collection_modifyitems(items):
    """Slow tests first: none of them is begun when the other workers have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish():
    """What was imported is never freed: collecting garbage, as every training run does, passes it over."""
    from cctuning.tools import processes

    processes.POLL_SECONDS = 0.02  # those of tests end at once
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _figures_of_module(request):
    """Only modules and tests that look at figures render them: they have a mark that says so."""
    from tests.drafts import figures_as_drafts

    with nullcontext() if request.node.get_closest_marker("renders") else figures_as_drafts():
        yield


@pytest.fixture(autouse=True)
def _figures_of_test(request, monkeypatch):
    from tests.drafts import RENDERED

    for rendered in RENDERED if request.node.get_closest_marker("renders") else ():
        monkeypatch.setattr(*rendered)


@pytest.fixture(autouse=True)
def _only_slow_tests_start_python(request, monkeypatch):
    """A test that starts interpreters takes long: it says so, and `make quick` leaves it out."""
    if request.node.get_closest_marker("slow"):
        return
    start = subprocess.Popen.__init__

    def checked(self, args, *more, **options):
        words = [args] if isinstance(args, str | os.PathLike) else list(args)
        assert str(words[0]) != sys.executable, f"mark {request.node.name} as slow: it starts {words}"
        start(self, args, *more, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", checked)


@pytest.fixture
def no_float32():
    """Float64 models stay in float64."""
    from tests.float64 import float64

    with float64():
        yield


@pytest.fixture
def heeds_a_hangup():
    """A hangup ends the process as usual, also where the tests run under nohup, which commands respect."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def launched(monkeypatch):
    """Sets the environment of a launcher, after all that another one would have set is gone."""
    for name in [name for name in os.environ if name.startswith(_LAUNCHERS)]:
        monkeypatch.delenv(name)

    def with_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return with_variables

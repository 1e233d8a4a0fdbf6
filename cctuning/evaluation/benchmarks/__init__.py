"""The benchmarks by name. One file each; a new one is added to the list below.

One's own needs none: it is a YAML file (`own`), and is known by its name once that has been read.
"""

from cctuning.evaluation.benchmarks.globalopinionqa import GLOBALOPINIONQA
from cctuning.evaluation.benchmarks.mkqa import MKQA
from cctuning.evaluation.benchmarks.mmmlu import MMMLU
from cctuning.evaluation.benchmarks.own import SUFFIXES, read_benchmark
from cctuning.evaluation.benchmarks.xcopa import XCOPA
from cctuning.evaluation.benchmarks.xlsum import XLSUM
from cctuning.evaluation.benchmarks.xnli import XNLI
from cctuning.evaluation.benchmarks.xquad import XQUAD
from cctuning.evaluation.benchmarks.xstorycloze import XSTORYCLOZE
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.settings.near_matches import did_you_mean

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (XNLI, XSTORYCLOZE, MMMLU, MKQA, XQUAD, XLSUM, XCOPA, GLOBALOPINIONQA)
}


_OWN: dict[str, Benchmark] = {}  # that this process has read


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name, upper and lower case apart, or in a YAML file of that path.

    Raises `ValueError` with the nearest name, and as `read_benchmark` for a file.
    """
    if name.endswith(SUFFIXES):
        own = read_benchmark(name)
        if own.name in BENCHMARKS:
            raise ValueError(f"{name}: {own.name} is the name of another benchmark: call the file otherwise")
        _OWN[own.name] = own
        return own
    known = {**BENCHMARKS, **_OWN}
    benchmark = known.get(name.strip().lower())
    if benchmark is None:
        raise ValueError(
            f"benchmark {name!r} is not one of {', '.join(known)}{did_you_mean(name, known)}; one of "
            "your own is named by its YAML file"
        )
    return benchmark

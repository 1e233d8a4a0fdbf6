"""The benchmarks by name. One file each; a new one is added to the list below."""

from cctuning.evaluation.benchmarks.globalopinionqa import GLOBALOPINIONQA
from cctuning.evaluation.benchmarks.mkqa import MKQA
from cctuning.evaluation.benchmarks.mmmlu import MMMLU
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


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name, upper and lower case apart. Raises `ValueError` with the nearest name."""
    benchmark = BENCHMARKS.get(name.strip().lower())
    if benchmark is None:
        raise ValueError(
            f"benchmark {name!r} is not one of {', '.join(BENCHMARKS)}{did_you_mean(name, BENCHMARKS)}"
        )
    return benchmark

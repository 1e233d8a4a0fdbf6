"""`cctuning evaluate engine=vllm` writes what `engine=hf` writes. Runs where vLLM is installed."""

import importlib.util
import json

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.commands import evaluate
from cctuning.export import export_monolingual
from tests.questions import TOKENIZER, write_items
from tests.serving.vllm.exports import engine_environment
from tests.tiny import tiny_llama

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed (make test-vllm)", allow_module_level=True)

pytestmark = pytest.mark.slow
COUNT = 12


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = CCTuningModel.wrap(
        tiny_llama(len(TOKENIZER), hidden_size=128, intermediate_size=192, initializer_range=0.15)
    )
    folder = tmp_path_factory.mktemp("exported")
    return export_monolingual(model, TOKENIZER, 2 * torch.randn(128, 128) / 128**0.5, folder)


@pytest.fixture
def data(tmp_path):
    options = {"1": "yes", "2": "no", "3": "maybe"}
    for name, more in {"XNLI": {"options": options, "answer": ["1"]}, "MKQA": {"answer": ["a"]}}.items():
        rows = [
            {
                "id": number,
                "language": "sw",
                "prompt": f"Swali{' tena' * number}?",
                "prompt_en": f"Question{' again' * number}?",
                **more,
            }
            for number in range(COUNT)
        ]
        write_items(tmp_path / "data" / name / "sw.jsonl", rows)
    return tmp_path / "data"


@pytest.mark.parametrize("inference", ["monolingual", "bilingual", "none"])
def test_both_engines_write_the_same(exported, data, tmp_path, monkeypatch, inference):
    for name, value in {**engine_environment(), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
        monkeypatch.setenv(name, value)
    samples = {}
    for engine, arguments in {"hf": {}, "vllm": {"enforce_eager": True, "block_size": 32}}.items():
        result = evaluate(
            model=str(exported),
            benchmarks=["xnli", "mkqa"],
            data=str(data),
            languages=["sw"],
            inference=inference,
            engine=engine,
            engine_arguments=arguments,
            max_new_tokens=8,
            output_dir=str(tmp_path / engine),
            use_cpu=True,
        )
        samples[engine] = [
            json.loads(line)
            for path in sorted(result.folder.glob("samples_*.jsonl"))
            for line in path.read_text().splitlines()
        ]
    assert len(samples["hf"]) == 2 * COUNT
    for own, other in zip(samples["vllm"], samples["hf"], strict=True):
        likelihoods = [sample.pop("log_likelihoods", {}) for sample in (own, other)]
        assert likelihoods[0] == pytest.approx(likelihoods[1], abs=1e-3)
        assert own == other

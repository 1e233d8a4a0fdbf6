"""Commands write with vLLM what they write with transformers. Runs where vLLM is installed."""

import json

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.commands import evaluate
from cctuning.export import export_monolingual
from cctuning.preparation.translate import main as translate
from tests.json_lines import write_lines
from tests.questions import PROMPTS, TOKENIZER
from tests.serving.vllm.exports import engine_environment, needs_vllm
from tests.tiny import tiny_llama

needs_vllm()
pytestmark = pytest.mark.slow
COUNT = 12


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = CCTuningModel.wrap(
        tiny_llama(len(TOKENIZER), hidden_size=128, intermediate_size=192, initializer_range=0.15)
    )
    # Many tokens end a response, or a translation.
    model.generation_config.eos_token_id = [PROMPTS.stop_token_id, *range(10, 90, 2)]
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
        write_lines(tmp_path / "data" / name / "sw.jsonl", rows)
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in {**engine_environment(), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
        monkeypatch.setenv(name, value)


def test_translations_are_the_same_and_are_kept_apart(exported, tmp_path):
    rows = [
        {"id": number, "language": "sw", "instruction": f"Swali{' tena' * number}?", "output": "a"}
        for number in range(COUNT)
    ]
    write_lines(tmp_path / "rows.jsonl", rows)
    written, names = [], set()
    cache = tmp_path / "cache.jsonl"
    arguments = ["--translator", "self", "--model", str(exported), "--cache", str(cache)]
    in_vllm = ["--engine", "vllm", "--engine-argument", "enforce_eager=true"]
    for engine in ([], [*in_vllm, "--engine-argument", "block_size=32"]):
        output = tmp_path / f"{len(engine)}.jsonl"
        more = ["--output", str(output), "--on-fault", "keep", *engine]
        assert translate([str(tmp_path / "rows.jsonl"), *arguments, *more]) == 0
        written.append((output.read_text(), output.with_suffix(".rejects.jsonl").read_text()))
        names |= {json.loads(line)["translator"] for line in cache.read_text().splitlines()}
    assert written[0] == written[1] and written[0][0].count("\n") > 3
    assert len(cache.read_text().splitlines()) == 2 * COUNT
    assert len(names) == 2 and sum("engine=vllm" in name for name in names) == 1


@pytest.mark.parametrize("inference", ["monolingual", "bilingual", "translated", "none"])
def test_both_engines_write_the_same(exported, data, tmp_path, inference):
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

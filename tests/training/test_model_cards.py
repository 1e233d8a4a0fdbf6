import ast
import dataclasses
import re

import pytest
import yaml

from cctuning.commands.schemas import ConnectionRecipe, LoraRecipe, TrainRecipe
from cctuning.training.model_cards import export_card, training_card


def recipe(**changes):
    settings = {"model_name_or_path": "org/Base-7B", "data": ["rows.jsonl"], "run_name": "my_run"}
    return dataclasses.asdict(TrainRecipe(**(settings | changes)))


def front_matter(card):
    _, matter, body = card.split("---\n", 2)
    return yaml.safe_load(matter), body


def cards(languages=("sw", "de"), **changes):
    report = {"pairs": 900, "held_out_mse": 0.0312345, "r2_per_layer": [0.1, 0.2], "warning": None}
    settings = recipe(**changes)
    return {
        "training": training_card(settings, languages=list(languages), rows=61_000, loss=1.2345),
        "export": export_card(settings, languages=list(languages), report=report),
    }


@pytest.mark.parametrize("kind", ["training", "export"])
def test_the_front_matter_is_yaml_with_strings(kind):
    matter, _ = front_matter(
        cards(languages=["no", "de", "und", "zh-Hans"])[kind]
    )  # YAML reads a bare no as false
    # The hub refuses other languages than those of ISO 639.
    assert matter["language"] == ["no", "de", "zh"] and matter["language_bcp47"] == ["zh-Hans"]
    assert matter["base_model"] == "org/Base-7B"
    assert matter["library_name"] == "transformers" and matter["pipeline_tag"] == "text-generation"
    assert matter["tags"] == ["cctuning"]


@pytest.mark.parametrize("kind", ["training", "export"])
@pytest.mark.parametrize(
    ("name", "on_hub"), [("./a: b #c", None), ("C:\\models\\x", None), ("yes", "yes"), ("org/007", "org/007")]
)
def test_only_a_base_model_of_the_hub_is_in_the_metadata(kind, name, on_hub):
    matter, body = front_matter(cards(model_name_or_path=name)[kind])
    assert matter.get("base_model") == on_hub
    assert f"Base model: {on_hub or name.removeprefix('./')}. " in body


@pytest.mark.parametrize("kind", ["training", "export"])
def test_data_sets_of_the_hub_are_named_and_of_files_no_more_than_the_name(kind):
    names = ["org/set:de", "/home/somebody/rows.jsonl", "org/other", "org/set"]
    matter, body = front_matter(cards(data=names)[kind])
    assert matter["datasets"] == ["org/set", "org/other"]
    assert "Data: org/set:de, rows.jsonl, org/other, org/set." in body and "somebody" not in body


def test_the_licence_is_that_of_the_base_model(tmp_path):
    card = "---\nlicense: other\nlicense_name: qwen\nlicense_link: 7\n---\n# Qwen\n"
    (tmp_path / "README.md").write_text(card)
    matter, _ = front_matter(cards(model_name_or_path=str(tmp_path))["training"])
    assert (matter["license"], matter["license_name"], matter.get("license_link")) == ("other", "qwen", None)
    for broken in ("---\n- a\n---\n", "---\nlicense: [\n---\n", '---\nlicense: "a\\e[2J"\n---\n', "#"):
        (tmp_path / "README.md").write_text(broken)
        assert "license" not in front_matter(cards(model_name_or_path=str(tmp_path))["training"])[0]


def test_without_known_languages_there_is_no_empty_list():
    matter, body = front_matter(cards(languages=["und"])["training"])
    assert "language" not in matter
    assert "1 language " in body


@pytest.mark.parametrize("kind", ["training", "export"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"connection": ConnectionRecipe(enabled=False)},
        {"connection": ConnectionRecipe(pooling="layer", layer=-1)},
        {"lora": LoraRecipe(enabled=True)},
        {"max_steps": 7},
    ],
    ids=["plain", "sft", "layer", "lora", "steps"],
)
def test_no_placeholder_is_left_and_the_tables_are_tables(kind, changes):
    card = cards(**changes)[kind]
    prose = re.sub(r"```.*?```", "", card, flags=re.DOTALL)
    assert not re.search(r"[{}]|\bNone\b|\bnan\b|dict\(|Mapping", prose)
    for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        ast.parse(code)


def test_the_training_card_names_method_model_settings_and_result():
    card = cards()["training"]
    assert "# my_run" in card and "arxiv.org/abs/2506.00875" in card
    assert "61,000 rows in 2 languages (sw, de)" in card and "1.234 nats per token" in card
    assert "| learning_rate | 1e-05 |" in card and "| connection.pooling | decision_maker |" in card
    assert "lora" not in card
    assert "| lora.r | 16 |" in cards(lora=LoraRecipe(enabled=True))["training"]
    assert "connection.layer" not in card
    assert (
        "| connection.layer | -1 |"
        in cards(connection=ConnectionRecipe(pooling="layer", layer=-1))["training"]
    )


def test_the_card_of_plain_fine_tuning_claims_no_connection():
    card = cards(connection=ConnectionRecipe(enabled=False))["training"]
    assert "ML-SFT" in card
    assert "fit_transform" not in card and "CCTuningModel" not in card and "| connection." not in card


def test_the_sublayer_is_named_and_a_mean_is_no_layer():
    attention, mean = ConnectionRecipe(sublayer="attention"), ConnectionRecipe(pooling="mean")
    assert "one layer's attention output" in cards(connection=attention)["training"]
    assert "the mean of all layers' ffn output" in cards(connection=mean)["training"]


def test_the_export_card_lists_the_plain_numbers_of_the_report():
    card = cards()["export"]
    assert "| pairs | 900 |" in card and "| held_out_mse | 0.03123 |" in card
    assert "r2_per_layer" not in card and "warning" not in card
    assert "trust_remote_code=True" in card


@pytest.mark.parametrize("kind", ["training", "export"])
def test_a_name_is_text_and_no_more(kind):
    name = "a\n# Trusted\n\n<img src=x onerror=alert(1)> ![x](https://example.org/x.png) \x1b[2J"
    _, body = front_matter(cards(run_name=name, languages=["sw\n<b>"])[kind])
    assert [line for line in body.splitlines() if line.startswith("#")] == [
        "# a # Trusted &lt;img src=x onerror=alert(1)> ![x]\\(https://example.org/x.png) \\x1b[2J"
        + ", monolingual" * (kind == "export")
    ]
    assert "<img" not in body and "<b>" not in body and "](https://example" not in body

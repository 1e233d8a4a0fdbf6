"""A YAML file beside JSON lines is a benchmark: its rows become prompts, and what is wrong is named."""

import json

import pytest

from cctuning.data.formats import DataError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.benchmarks.own import read_benchmark
from cctuning.evaluation.items.files import BadItemsError, read_items
from cctuning.evaluation.items.selection import read_item_sets


def written(folder, yaml, **languages):
    """A benchmark `capitals` and its files."""
    (folder / "capitals").mkdir()
    for language, rows in languages.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "capitals" / f"{language}.jsonl").write_text(lines, encoding="utf-8")
    path = folder / "capitals.yaml"
    path.write_text(yaml, encoding="utf-8")
    return path


EN = [
    {"id": 1, "question": "Capital of Kenya?", "answer": "Nairobi"},
    {"id": 2, "question": "Peru?", "answer": "Lima"},
]
SW = [{"id": 1, "question": "Mji mkuu wa Kenya?", "answer": ["Nairobi", "Nairobi."], "level": 3}]
PROMPT = 'kind: short_answer\nprompt: {en: "Q: {question}\\nA:", "sw": "S: {question}\\nJ:"}\n'


def test_fields_are_put_into_the_prompts_of_both_languages(tmp_path):
    benchmark = read_benchmark(written(tmp_path, PROMPT, en=EN, sw=SW))
    assert (benchmark.name, benchmark.title, benchmark.languages) == ("capitals", "capitals", ("en", "sw"))
    [item] = read_items(tmp_path, benchmark, "sw")
    assert (item.prompt, item.prompt_en) == ("S: Mji mkuu wa Kenya?\nJ:", "Q: Capital of Kenya?\nA:")
    assert (item.answers, item.details["level"]) == (("Nairobi", "Nairobi."), 3)
    first, _ = read_items(tmp_path, benchmark, "en")
    assert (first.prompt, first.prompt_en, first.answers) == (*["Q: Capital of Kenya?\nA:"] * 2, ("Nairobi",))


def test_listed_options_get_labels_and_rows_may_have_their_prompt(tmp_path):
    rows = [
        {"id": "a", "question": "2 + 2?", "options": ["3", "4"], "answer": "B"},
        {"id": "b", "prompt": "Which?", "options": {"A": "this", "B": "that"}, "answer": ["A"]},
    ]
    yaml = 'kind: choice\nscoring: letter\ntitle: capitals\nprompt: "{question}\\n{options}"\n'
    benchmark = read_benchmark(written(tmp_path, yaml, de=rows))
    first, second = read_items(tmp_path, benchmark, "de")
    assert (first.prompt, dict(first.options)) == ("2 + 2?\n(A) 3\n(B) 4", {"A": "3", "B": "4"})
    assert (second.prompt, first.prompt_en, second.prompt_en) == ("Which?", "", "")
    assert [metric.key for metric in benchmark.metrics] == ["accuracy,paper", "accuracy,strict"]
    assert benchmark.metrics[0].score("(B)", first) == 1.0


def test_its_own_files_are_read_unless_data_has_them(tmp_path):
    path = written(tmp_path, f"{PROMPT}languages: [sw]\n", en=EN, sw=SW)
    benchmark = find_benchmark(str(path))
    assert find_benchmark("capitals") == benchmark
    [item_set] = read_item_sets([benchmark], str(tmp_path / "nowhere"))
    assert item_set.language == "sw"
    other = tmp_path / "pilot" / "capitals"
    other.mkdir(parents=True)
    (other / "en.jsonl").write_text(json.dumps(EN[1]) + "\n")
    sets = read_item_sets([benchmark], str(tmp_path / "pilot"), languages=["en"])
    assert [item.id for item in sets[0].items] == [2]


@pytest.mark.parametrize(
    "yaml, said",
    [
        ("kind: short_anwser\n", "did you mean 'short_answer'"),
        ("kind: choice\nscoring: rouge\n", "scoring='rouge' is not one of label"),
        ("kind: choice\nscorin: label\n", "did you mean 'scoring'"),
        ("kind: choice\nparallel: 'yes'\n", "parallel: is text"),
        ("- 1\n", "key: value"),
        ("kind: [\n", "cannot be read"),
        ("kind: short_answer\nprompt: What?\n", "field of the rows"),
    ],
)
def test_a_file_that_says_something_else_is_named(tmp_path, yaml, said):
    path = written(tmp_path, yaml, en=EN)
    with pytest.raises(DataError) as error:
        read_benchmark(path)
    assert str(path) in str(error.value) and said in str(error.value)


def test_a_row_without_a_field_of_the_prompt_is_named(tmp_path):
    benchmark = read_benchmark(written(tmp_path, PROMPT, sw=[*SW, {"id": 2, "text": "?", "answer": "x"}]))
    with pytest.raises(BadItemsError, match="row 2: lacks the field 'question'"):
        read_items(tmp_path, benchmark, "sw")


def test_the_name_of_another_benchmark_is_refused(tmp_path):
    path = written(tmp_path, "kind: choice\n").rename(tmp_path / "xnli.yaml")
    with pytest.raises(ValueError, match="another benchmark"):
        find_benchmark(str(path))

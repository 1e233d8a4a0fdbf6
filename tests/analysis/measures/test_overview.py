from cctuning.analysis.measures.overview import overview_text
from tests.analysis.measures.test_summary import summarised


def cells(text, heading, first):
    """The cells of the row that begins with `first`, below a heading, by the names of their columns."""
    own = text.partition(heading)[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in own.splitlines() if "|" in line
    ]
    return next(dict(zip(rows[0], row, strict=False)) for row in rows if row[0] == first)


def test_the_main_numbers_stand_in_their_columns():
    summary = summarised()
    text = overview_text(summary)
    row = cells(text, "## XNLI, ffn\n", "de")
    bound = summary["bounds"]["ffn"]["xnli"]["upper_bound"]["de"]
    assert row["upper bound"] == "{:.1f} [{:.1f}, {:.1f}]".format(
        *(100 * bound[key] for key in ("value", "low", "high"))
    )
    win = summary["outcomes"]["ffn"]["xnli"]["win"]["de"]
    assert row["win"].startswith(f"{100 * win['value']:.1f} [")
    source, target = summary["pairs"]["ffn"]["xnli"]["de"]["source_last"]
    assert row["source_last"].startswith(f"{source} → {target}")
    choice = summary["choices"]["ffn"]["xnli"]["de"]["source_last"]
    assert f"{choice['tied']} tie" in row["source_last"]
    assert f"{100 * choice['chosen_again']:.1f} %" in row["source_last"]
    assert "by chance" not in row
    mean = cells(text, "## XNLI, ffn\n", "mean")
    assert mean["original"].startswith(
        f"{100 * summary['bounds']['ffn']['xnli']['original']['mean']['value']:.1f} "
    )


def test_unseen_scores_with_their_differences():
    summary = summarised()
    score = next(
        one
        for one in summary["unseen"]["ffn"]["scores"]
        if (one["benchmark"], one["language"], one["name"]) == ("xnli", "sw", "target_first")
    )
    score["stars"] = "**"
    row = cells(overview_text(summary), "## Unseen questions, ffn\n", "XNLI, sw")
    assert row["target_first"].endswith(")**")
    change = score["difference"]["value"]
    assert row["target_first"].startswith(f"{100 * score['score']:.1f} (")
    assert f"{100 * abs(change):.1f}" in row["target_first"].partition("(")[2].partition(" [")[0]


def test_nothing_to_tell_is_an_empty_cell():
    summary = summarised()
    summary["bounds"]["ffn"]["xnli"]["original"]["de"] |= {"value": None, "low": None, "high": None}
    summary["unseen"]["ffn"]["warnings"] = ["20 questions differ"]
    text = overview_text(summary)
    assert cells(text, "## XNLI, ffn\n", "de")["original"] == ""
    assert "- warning: 20 questions differ" in text


def test_sublayers_and_answers():
    summary = summarised()
    text = overview_text(summary)
    row = cells(text, "## Sub-layers\n", "XNLI, attention - ffn")
    found = summary["sublayers"]["attention-ffn"]["xnli"]
    assert row["upper bound"].startswith(f"{100 * found['upper_bound_difference']['mean']['value']:+.1f} [")
    assert row["only the first"].startswith(f"{100 * found['only_attention']['mean']['value']:.1f} [")
    assert row["only the second"].startswith(f"{100 * found['only_ffn']['mean']['value']:.1f} [")
    row = cells(text, "## Answers\n", "GlobalOpinionQA, ffn")
    likely = summary["perplexity"]["ffn"]["globalopinionqa"]["perplexity"]["mean"]
    assert row["perplexity"] == f"{likely['value']:.2f} [{likely['low']:.2f}, {likely['high']:.2f}]"
    told = summary["consistency"]["ffn"]["globalopinionqa"]["told"]["mean"]["value"]
    assert row["told"] == f"{100 * told:.1f}" == "0.0"  # of no answer at all: it has no interval

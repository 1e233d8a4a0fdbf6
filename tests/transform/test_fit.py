"""The whole fit of a small model, against the same written with all outputs at once."""

import json
import random

import numpy as np
import pytest
import torch

from cctuning.connection.model import CCTuningModel
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.transform.affine import affine, factors_of
from cctuning.transform.agreement import LayerAgreement
from cctuning.transform.figures import plot_error_per_layer
from cctuning.transform.fit import fit_transform
from cctuning.transform.pairs import Pair, sample_pairs, stream_pairs
from tests.models import FIRST_WORD, VOCABULARY, build
from tests.transform.test_least_squares import rows

LANGUAGES = ("sw", "th", "ru")


def parallel_pairs(count):
    """A prompt is the English words with the language's own last token."""
    rng = random.Random(0)
    pairs = []
    for number in range(count):
        words = tuple(rng.randrange(FIRST_WORD, VOCABULARY) for _ in range(rng.randrange(2, 5)))
        language = number % len(LANGUAGES)
        pairs.append(Pair(str(number), LANGUAGES[language], (*words, language), (*words, 3)))
    return pairs


def connected(**connection):
    model = CCTuningModel.wrap(build("llama"), ConnectionConfig(**connection)).eval()
    if model.decision_maker is not None:
        torch.nn.init.normal_(model.decision_maker.weight, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture(scope="module")
def model():
    return connected()


@pytest.fixture(scope="module")
def sample():
    return sample_pairs(parallel_pairs(120), 90, held_out=0.2, seed=0)


@pytest.fixture(scope="module")
def fit(model, sample):
    return fit_transform(model, sample, pad_token_id=0)


def all_outputs(model, pairs):
    """F, F_en (n, L, d) and e (n, d), in the order of `pairs`."""
    [batch] = stream_pairs(model, pairs, pad_token_id=0, batch_size=len(pairs))
    order = torch.tensor(batch.indices).argsort()
    return batch.F[order].double(), batch.F_en[order].double(), batch.embeddings[order]


def test_the_matrix_is_ridge_regression_on_all_rows(model, sample, fit):
    F, F_en, _ = all_outputs(model, sample.fit)
    A, B = rows(F), rows(F_en)
    expected = np.linalg.solve(A.T @ A + fit.report["ridge"] * np.eye(A.shape[1]), A.T @ B)
    np.testing.assert_allclose(fit.transform.numpy(), expected, atol=1e-6)
    assert fit.report["train_mse"] == pytest.approx(((A @ expected - B) ** 2).mean(), rel=1e-6)


def test_the_matrix_is_fitted_to_centred_and_scaled_outputs(sample):
    model = connected(centred=True, scale=0.5)
    torch.manual_seed(1)
    mean, scale = model.output_statistics.mean.normal_(), model.output_statistics.scale.uniform_(1, 9)
    prompts = [[pair.prompt_ids for pair in sample.fit], [pair.english_ids for pair in sample.fit]]
    A, B = (
        rows((torch.cat([model.ffn_outputs(torch.tensor([ids])) for ids in side]) - mean) * scale[:, None])
        for side in prompts
    )
    fit = fit_transform(model, sample, pad_token_id=0, ridge=2.0)
    expected = np.linalg.solve(A.T @ A + 2.0 * np.eye(A.shape[1]), A.T @ B)
    np.testing.assert_allclose(fit.transform.numpy(), expected, atol=1e-5)


def test_a_low_rank_and_the_layer_alone_that_is_chosen(sample, tmp_path):
    model = connected(pooling="layer", layer=-2)
    fit = fit_transform(model, sample, pad_token_id=0, ridge=2.0, rank=5, layers="chosen")
    F, F_en, _ = all_outputs(model, sample.fit)
    A, B = F[:, 1].numpy(), F_en[:, 1].numpy()
    full = np.linalg.solve(A.T @ A + 2.0 * np.eye(32), A.T @ B)
    V = np.linalg.svd(np.vstack([A, 2.0**0.5 * np.eye(32)]) @ full)[2][:5]
    np.testing.assert_allclose(fit.transform.numpy(), full @ V.T @ V, atol=1e-6)
    F, F_en, _ = all_outputs(model, sample.held_out)
    error = (F[:, 1] @ fit.transform - F_en[:, 1]).square()
    report = fit.report
    assert report["mse"] == pytest.approx(float(error.mean()), rel=1e-6)
    assert report["learning_curve"][-1]["mse"] == pytest.approx(report["mse"], rel=1e-6)
    assert (report["layers"], report["chosen_layer"], len(report["per_layer"]["r2"])) == (1, 1, 1)
    plot_error_per_layer(report, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size


@pytest.mark.parametrize("chosen", [{}, {"pooling": "layer", "layer": 1}])
def test_a_fit_of_what_is_left_without_the_means(sample, chosen):
    """Predictions and errors by the definition, mean_en + (F - mean) W, on pairs that were not fitted."""
    model = connected(**chosen)
    fit = fit_transform(
        model, sample, pad_token_id=0, ridge=2.0, mean=True, layers="chosen" if chosen else "all"
    )
    kept = slice(1, 2) if chosen else slice(None)
    (F, F_en, _), held_out = (all_outputs(model, pairs) for pairs in (sample.fit, sample.held_out))
    A, B = rows(F[:, kept]), rows(F_en[:, kept])
    W = np.linalg.solve((A - A.mean(0)).T @ (A - A.mean(0)) + 2.0 * np.eye(32), (A - A.mean(0)).T @ B)
    error = B.mean(0) + (rows(held_out[0][:, kept]) - A.mean(0)) @ W - rows(held_out[1][:, kept])
    assert fit.report["mse"] == pytest.approx((error**2).mean(), rel=1e-6)
    assert fit.report["learning_curve"][-1]["mse"] == pytest.approx(fit.report["mse"], rel=1e-6)
    plain = B.mean(0) + (A - A.mean(0)) @ W - B
    assert fit.report["train_mse"] == pytest.approx((plain**2).mean(), rel=1e-6)
    if not chosen:
        F, F_en, e = held_out
        weight = model.decision_maker.weight.detach().double()
        predicted = torch.from_numpy(B.mean(0) + (F.numpy() - A.mean(0)) @ W)
        layers = [((part.mean(1) + e) @ weight.T).argmax(-1) for part in (F_en, predicted)]
        assert fit.report["layer_agreement"] == pytest.approx(float((layers[0] == layers[1]).double().mean()))


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("rank", [None, 5])
def test_a_matrix_for_each_layer_by_itself(model, sample, mean, rank):
    """Matrices, errors and chosen layers by the definition, one layer after the other."""
    fit = fit_transform(model, sample, pad_token_id=0, ridge=2.0, rank=rank, mean=mean, layers="each")
    (F, F_en, _), (others, english, e) = (
        all_outputs(model, pairs) for pairs in (sample.fit, sample.held_out)
    )
    predicted, plain, train = [], [], 0.0
    for layer in range(3):
        A, B, held = F[:, layer].numpy(), F_en[:, layer].numpy(), others[:, layer].numpy()
        a, b = (A.mean(0), B.mean(0)) if mean else (0, 0)
        W = np.linalg.solve((A - a).T @ (A - a) + 2.0 * np.eye(32), (A - a).T @ (B - b))
        if rank:
            V = np.linalg.svd(np.vstack([A - a, 2.0**0.5 * np.eye(32)]) @ W)[2][:rank]
            W = W @ V.T @ V
        of_layer = [factor[layer] for factor in factors_of(fit.transform)]
        found = affine(torch.from_numpy(held), of_layer[0] if rank is None else tuple(of_layer))
        predicted.append(b + (held - a) @ W)
        np.testing.assert_allclose(found, predicted[-1], atol=1e-6)
        train += float(((b + (A - a) @ W - B) ** 2).sum())
        plain.append(b + (held - a) @ np.linalg.lstsq(A - a, B - b, rcond=None)[0])
    if rank:
        down, up = fit.transform
        assert (down.shape, up.shape) == ((3, 32, rank), (3, rank + mean, 32))
    predicted = torch.from_numpy(np.stack(predicted, 1))
    error, report = (predicted - english).square(), fit.report
    assert report["mse"] == pytest.approx(float(error.mean()), rel=1e-6)
    assert report["train_mse"] == pytest.approx(train / F.numel(), rel=1e-6)
    last = report["learning_curve"][-1]
    assert (last["pairs"], last["rows"], report["rows"]) == (90, 90, 90)
    assert last["mse"] == pytest.approx(report["mse"], rel=1e-6)
    relative = float((error.sum() / english.square().sum()).sqrt())
    assert last["relative_error"] == report["relative_error"] == pytest.approx(relative, rel=1e-6)
    squares = (torch.from_numpy(np.stack(plain, 1)) - english).square()
    assert report["plain"]["mse"] == pytest.approx(float(squares.mean()), rel=1e-4)
    r2 = 1 - error.sum((0, 2)) / (english - F_en.mean(0)).square().sum((0, 2))
    assert report["per_layer"]["r2"] == pytest.approx(r2.tolist(), rel=1e-6)
    weight = model.decision_maker.weight.detach().double()
    chosen = [((part.mean(1) + e) @ weight.T).argmax(-1) for part in (english, predicted)]
    assert report["layer_agreement"] == pytest.approx(float((chosen[0] == chosen[1]).double().mean()))


def test_the_ridge_of_each_layer_is_chosen_on_it_alone(model, sample):
    """To the last bit what a connection with this layer alone gets; so is the error of every point."""
    fit = fit_transform(model, sample, pad_token_id=0, layers="each")
    alone = [
        fit_transform(connected(pooling="layer", layer=layer), sample, pad_token_id=0, layers="chosen")
        for layer in range(3)
    ]
    assert torch.equal(fit.transform, torch.stack([one.transform for one in alone]))
    reports, both = [one.report for one in alone], fit.report
    assert "ridge" not in both
    for name in ("ridge", "relative_ridge"):
        assert both["per_layer"][name] == [report[name] for report in reports]
    assert len(set(both["per_layer"]["ridge"])) > 1
    folds = [{"folds": 5, **layer} for layer in both["cross_validation"]["per_layer"]]
    assert folds == [report["cross_validation"] for report in reports]
    for place, point in enumerate(both["learning_curve"]):
        for name in ("mse", "plain_mse"):
            mean = sum(report["learning_curve"][place][name] for report in reports) / 3
            assert point[name] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("layers", "connection"), [("chosen", {}), ("each", {"pooling": "layer", "layer": 1})]
)
def test_layers_that_do_not_go_with_the_pooling(sample, layers, connection):
    pooling = connection.get("pooling", "decision_maker")
    with pytest.raises(ValueError, match=f"layers={layers}.*pooling={pooling}"):
        fit_transform(connected(**connection), sample, pad_token_id=0, layers=layers)


def test_the_report_is_measured_on_held_out_pairs(model, sample, fit):
    F, F_en, _ = all_outputs(model, sample.held_out)
    means = all_outputs(model, sample.fit)[1].mean(0)
    error = F @ fit.transform - F_en
    report = fit.report
    assert report["mse"] == pytest.approx(float(error.square().mean()), rel=1e-6)
    assert report["relative_error"] == pytest.approx(float(error.norm() / F_en.norm()), rel=1e-6)
    assert report["identity"]["mse"] == pytest.approx(float((F - F_en).square().mean()), rel=1e-6)
    assert report["layer_mean"]["mse"] == pytest.approx(float((means - F_en).square().mean()), rel=1e-6)
    own = [index for index, pair in enumerate(sample.held_out) if pair.language == "th"]
    assert report["languages"]["th"]["held_out_pairs"] == len(own)
    assert report["languages"]["th"]["mse"] == pytest.approx(float(error[own].square().mean()), rel=1e-6)
    per_layer = 1 - error.square().sum((0, 2)) / (F_en - means).square().sum((0, 2))
    assert report["per_layer"]["r2"] == pytest.approx(per_layer.tolist(), rel=1e-6)


def test_the_report_says_how_much_it_is_based_on(fit):
    report = fit.report
    sizes = [report[name] for name in ("pairs", "held_out_pairs", "layers", "hidden_size", "rows")]
    assert sizes == [90, 18, 3, 32, 270]
    assert report["rows_per_dimension"] == pytest.approx(270 / 32)
    assert sum(language["pairs"] for language in report["languages"].values()) == 90
    assert report["ridge"] in report["cross_validation"]["ridges"]


def test_the_learning_curve_ends_with_the_fit(fit):
    curve = fit.report["learning_curve"]
    assert [point["pairs"] for point in curve] == [11, 22, 45, 90]
    assert curve[-1]["mse"] == pytest.approx(fit.report["mse"], rel=1e-6)
    assert curve[-1]["plain_mse"] == fit.report["plain"]["mse"]


def test_the_report_is_plain_json(fit):
    assert json.loads(json.dumps(fit.report, allow_nan=False)) == fit.report


def test_the_layers_chosen_are_those_of_the_decision_maker(model, sample, fit):
    F, F_en, e = all_outputs(model, sample.held_out)
    weight = model.decision_maker.weight.detach().double()
    chosen = [((outputs.mean(1) + e) @ weight.T).argmax(-1) for outputs in (F_en, F @ fit.transform, F)]
    assert fit.report["layer_agreement"] == pytest.approx(float((chosen[0] == chosen[1]).double().mean()))
    identity = float((chosen[0] == chosen[2]).double().mean())
    assert fit.report["layer_agreement_identity"] == pytest.approx(identity)
    most = float((chosen[0] == chosen[0].mode().values).double().mean())
    assert fit.report["layer_agreement_most_frequent"] == pytest.approx(most)
    assert len(set(chosen[0].tolist())) > 1


def test_a_perfect_matrix_agrees_always(model, sample):
    batches = [batch._replace(F=batch.F_en) for batch in stream_pairs(model, sample.held_out, pad_token_id=0)]
    agreement = LayerAgreement.measure(model, batches, torch.eye(32, dtype=torch.float64))
    assert (agreement.transformed, agreement.own) == (1.0, 1.0)
    assert agreement.of([0, 3]).transformed == 1.0


def test_batches_do_not_matter(model, sample, fit):
    other = fit_transform(model, sample, pad_token_id=0, batch_size=5)
    torch.testing.assert_close(other.transform, fit.transform, atol=1e-6, rtol=1e-6)


def test_a_given_ridge_is_used(model, sample):
    result = fit_transform(model, sample, pad_token_id=0, ridge=10.0)
    assert result.report["ridge"] == 10.0
    assert "cross_validation" not in result.report
    plain = fit_transform(model, sample, pad_token_id=0, ridge=0.0).report
    assert plain["mse"] == pytest.approx(plain["plain"]["mse"], rel=1e-6)
    assert plain["plain"]["r2"] == pytest.approx(plain["r2"], rel=1e-6)


def test_without_a_decision_maker_nothing_is_chosen(sample):
    report = fit_transform(connected(pooling="layer", layer=-1), sample, pad_token_id=0, ridge=1.0).report
    assert not [name for name in report if "agreement" in name]
    assert "layer_agreement" not in report["languages"]["th"]


@pytest.mark.filterwarnings("ignore:.*few for a matrix")
def test_progress_reaches_its_ends(model):
    seen = {}
    few = sample_pairs(parallel_pairs(40), 20, held_out=0.2, seed=0)
    for layers, points in (("all", 2), ("each", 6)):
        fit_transform(
            model,
            few,
            pad_token_id=0,
            layers=layers,
            progress=lambda what, *numbers: seen.update({what: numbers}),
        )
        ends = {"held-out pairs": (4, 4), "pairs": (20, 20), "learning curve": (points, points)}
        assert seen == ends


def test_outputs_that_are_not_finite_name_the_pair(sample):
    model = connected()
    with torch.no_grad():
        model.get_input_embeddings().weight[1] = float("nan")  # the last token of every Thai prompt
    with pytest.raises(
        ValueError, match=r"F is not finite in layer 0 \(from 0\) for id '\d+', language 'th'"
    ):
        fit_transform(model, sample, pad_token_id=0)


def test_too_few_pairs_for_the_folds(model):
    few = sample_pairs(parallel_pairs(6), 4, held_out=0.2, seed=0)
    with pytest.raises(ValueError, match="folds empty"):
        fit_transform(model, few, pad_token_id=0)


def test_a_model_in_bfloat16_is_fitted(sample):
    result = fit_transform(connected().to(torch.bfloat16), sample, pad_token_id=0, ridge=1.0)
    exact = fit_transform(connected(), sample, pad_token_id=0, ridge=1.0)
    assert result.report["relative_error"] == pytest.approx(exact.report["relative_error"], rel=0.05)

"""Log-linear laws per family: planted lines, published figures, equivalent compute."""

import json

import numpy as np
import pytest
from checkout import SHARED

from capspace.fit.errors import DegenerateError, FitError, TooFewModelsError, UnknownNameError
from capspace.fit.law.efficiency import fit_efficiency, fit_family_law
from capspace.fit.law.equivalent import equivalent_scale

SCALES = np.array([1e20, 1e21, 1e22, 3e22, 1e23])


def planted(rng, n_draws, slope=0.4, noise=0.05):
    clean = slope * (np.log10(SCALES) - 22)
    return clean + rng.normal(0, noise, (n_draws, len(SCALES)))


def test_line_is_recovered():
    law = fit_family_law(0.3 * np.log10(SCALES) - 5, SCALES)
    assert law.slope == pytest.approx(0.3, abs=1e-12)
    assert law.intercept == pytest.approx(-5, abs=1e-10)
    assert law.r2 == pytest.approx(1)
    np.testing.assert_allclose(law.predict([1e24]), [0.3 * 24 - 5])


def test_band_covers_the_line():
    draws = planted(np.random.default_rng(0), 2000)
    at, true = 1e24, 0.4 * 2
    inside = 0
    for y in draws:
        low, high = fit_family_law(y, SCALES).band(at, level=0.8)
        inside += low <= true <= high
    assert inside / len(draws) == pytest.approx(0.8, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("variance", [0.0, 0.02**2])
def test_equivalent_scale_interval_covers(variance):
    rng = np.random.default_rng(1)
    draws = planted(rng, 2000, noise=0.03)
    true = 5e22
    seen = 0.4 * (np.log10(true) - 22) + rng.normal(0, np.sqrt(variance), len(draws))
    inside = 0
    for y, capability in zip(draws, seen, strict=True):
        result = equivalent_scale(capability, fit_family_law(y, SCALES), variance=variance)
        inside += bool(result.lower[0] <= true <= result.upper[0])
    # Adding the two quantiles' squares is slightly conservative where both sources matter.
    assert 0.88 <= inside / len(draws) <= 0.95


def test_equivalent_scale_point_and_range():
    law = fit_family_law(planted(np.random.default_rng(2), 1)[0], SCALES, family="Llama-2")
    result = equivalent_scale(law.predict([3e22, 1e26]), law)
    np.testing.assert_allclose(result.scale, [3e22, 1e26])
    assert result.inside.tolist() == [True, False]
    assert (result.lower < result.scale).all()
    assert (result.scale < result.upper).all()


def test_beyond_all_reference_models_there_is_a_reason_and_no_number():
    law = fit_family_law(planted(np.random.default_rng(2), 1)[0], SCALES, family="Llama-2")
    among = law.predict(np.array([1e19, 1e22, 1e25]))
    result = equivalent_scale(law.predict([9e18, 1e19, 1e25, 2e25]), law, among=among)
    below, above = "below every reference model", "above every reference model"
    assert result.reason == (below, "", "", above)
    known = np.array([False, True, True, False])
    for values in (result.scale, result.lower, result.upper):
        assert (~np.isnan(values) == known).all()
    assert not result.inside[[0, 3]].any()
    shown = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [v is None for v in shown["scale"]] == (~known).tolist()
    assert shown["reason"] == [below, None, None, above]


def test_equivalent_scale_falls_with_a_falling_line():
    law = fit_family_law(-planted(np.random.default_rng(2), 1)[0], SCALES)
    result = equivalent_scale(law.predict(2e22), law)
    assert result.lower[0] < result.scale[0] < result.upper[0]


def test_slope_not_told_from_zero_gives_an_unbounded_interval():
    law = fit_family_law([0.1, -0.1, 0.12, -0.1, 0.1], SCALES)
    result = equivalent_scale([0.05], law)
    assert result.lower[0] == 0
    assert result.upper[0] == np.inf
    assert result.to_dict()["upper"] == [None]


def test_two_models_give_a_point_but_no_interval():
    law = fit_family_law([0.1, 0.5], [1e22, 1e24], family="Yi")
    assert np.isnan(law.r2)
    result = equivalent_scale([0.3], law)
    assert result.scale[0] == pytest.approx(1e23)
    assert np.isnan([result.lower[0], result.upper[0]]).all()
    assert result.to_dict()["lower"] == [None]


def test_families_without_a_law_are_named():
    capability = [0.1, 0.2, 0.3, 0.4, 0.5, np.nan, 0.2, 0.3]
    scale = [1e20, 1e21, 1e22, 1e22, np.nan, 1e21, 1e22, 1e22]
    families = ["A", "A", "A", "B", "C", "C", "D", "D"]
    result = fit_efficiency(capability, scale, families, name="PC-1")
    assert list(result.laws) == ["A"]
    assert "only one model" in result.left_out["B"]
    assert "no model" in result.left_out["C"]
    assert "same scale" in result.left_out["D"]
    assert result.pooled.n_models == 6
    with pytest.raises(TooFewModelsError, match="'B': only one model has both"):
        result.law("B")
    with pytest.raises(UnknownNameError, match="unknown family 'Z'"):
        result.law("Z")
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("capability", "scale", "error", "message"),
    [
        ([0.1], [1e20], TooFewModelsError, "only one model"),
        ([0.1, 0.2], [1e20, 1e20], DegenerateError, "same scale"),
        ([0.1, 0.2], [1e20, -1.0], FitError, "positive and finite"),
        ([0.1, np.inf], [1e20, 1e21], FitError, "finite"),
        ([0.1, 0.2], [1e20], FitError, "one length"),
    ],
)
def test_bad_input(capability, scale, error, message):
    with pytest.raises(error, match=message):
        fit_family_law(capability, scale, family="A")


def test_flat_line_has_no_equivalent():
    law = fit_family_law([0.2, 0.2, 0.2], SCALES[:3], family="A")
    with pytest.raises(DegenerateError, match="flat"):
        equivalent_scale(0.3, law)


def test_a_negative_variance_is_refused():
    law = fit_family_law([0.2, 0.4, 0.6], [1e21, 1e22, 1e23], family="A")
    with pytest.raises(FitError, match="variance must not be negative"):
        equivalent_scale([0.3], law, variance=-0.1)


def test_level_outside_zero_and_one():
    law = fit_family_law(planted(np.random.default_rng(2), 1)[0], SCALES)
    with pytest.raises(FitError, match="level"):
        equivalent_scale(0.3, law, level=90)


@pytest.fixture(scope="module")
def study():
    if not SHARED.is_dir():
        pytest.skip(f"the study's tables are not at {SHARED}")
    import pandas as pd

    expected = json.loads((SHARED / "paper/expected.json").read_text())
    frame = pd.read_csv(SHARED / "results/obsscaling/base_llm_benchmark_eval.csv")
    return expected, frame.set_index("Model")


@pytest.mark.parametrize("component", [1, 2, 3, 4, 5])
def test_study_r2_per_family(study, component):
    expected, frame = study
    scores = expected["pca"]["base_77_default"]["scores"]
    capability = [row[component - 1] for row in scores.values()]
    rows = frame.loc[list(scores)]
    for key, column, unit in [
        ("log10_FLOPs_1E21", "FLOPs (1E21)", 1e21),
        ("log10_ModelSize_B", "Model Size (B)", 1e9),
    ]:
        theirs = expected["efficiency"][key][f"PC-{component}"]
        ours = fit_efficiency(capability, rows[column] * unit, list(rows["Model Family"]))
        assert set(theirs["families"]) <= set(ours.laws)
        for family, values in theirs["families"].items():
            law = ours.laws[family]
            assert law.n_models == values["n"]
            assert law.slope == pytest.approx(values["slope"], abs=1e-6)
            if values["r2"] is not None:
                assert law.r2 == pytest.approx(values["r2"], abs=1e-4)
        assert ours.r2_mean == pytest.approx(theirs["r2_avg"], abs=1e-4)
        if key.startswith("log10_FLOPs"):
            pooled = theirs["pooled_all_models"]["r2"]
            assert ours.pooled.r2 == pytest.approx(pooled, abs=1e-4)


def test_study_equivalent_flops(study):
    """The reference line through Llama-2, and every model's equivalent FLOPs, to 1%."""
    expected, frame = study
    fit = expected["emergent"]["tasks"]["word_unscrambling_2_exact_match"]["PC-1..3"]
    capability = {p["model"]: np.log(p["yhat"] / (1 - p["yhat"])) for p in fit["predictions"]}
    members = frame.index[frame["Model Family"] == "Llama-2"]
    law = fit_family_law(
        [capability[m] for m in members], frame.loc[members, "FLOPs (1E21)"] * 1e21
    )
    theirs = fit["equiv"]
    assert law.slope == pytest.approx(theirs["w"], rel=1e-4)
    assert law.r2 == pytest.approx(theirs["r2"], abs=1e-4)
    c = np.array(list(capability.values()))
    result = equivalent_scale(c, law)
    np.testing.assert_allclose(
        result.scale, 10 ** ((c - theirs["b"]) / theirs["w"]) * 1e21, rtol=0.01
    )

"""The public face of capspace.fit: every name, the former ones, and how results show themselves."""

import re
from importlib import import_module
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getdoc, isclass, isfunction

import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone

import capspace.fit as fit
import capspace.tasks as tasks
from capspace.fit import (
    JackknifePlus,
    Placement,
    ScoreTable,
    TargetLaw,
    TwoView,
    load_reference,
    place_model,
)

ROOMS = (
    "analyses", "completion", "decide", "figures", "importing", "items", "law", "prediction",
    "reference", "report", "space", "table", "zoo",
)  # fmt: skip
FAST = TwoView(n_refits=4)
HOSTILE = "org/<script>alert(1)</script>"
ROW = {"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}


@pytest.fixture(scope="module")
def placement() -> Placement:
    table = ScoreTable.from_wide(pd.DataFrame(ROW, index=[HOSTILE]))
    return place_model(table, load_reference(), targets=["bbh", "gsm8k-cot"], method=FAST)


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_exports_is_imported_from_the_top(room: str) -> None:
    module = import_module(f"capspace.fit.{room}")
    assert set(module.__all__) <= set(fit.__all__)
    assert all(getattr(module, name) is getattr(fit, name) for name in module.__all__)


def test_every_error_is_imported_from_the_top() -> None:
    errors = import_module("capspace.fit.errors")
    kinds = {n for n in errors.__all__ if isclass(getattr(errors, n))}
    assert kinds <= set(fit.__all__)


def test_the_package_lists_todays_names_and_goes_by_its_own() -> None:
    assert dir(fit) == fit.__all__
    assert "TargetLaw" in dir(fit)
    assert "fit_target" not in dir(fit)
    for package in (fit, tasks):
        name = package.__name__.rpartition(".")[2]
        spec = spec_from_file_location(name, package.__file__)
        assert spec is not None
        assert spec.loader is not None
        with pytest.raises(ImportError, match=f"this package is capspace.{name}, not {name}: inst"):
            spec.loader.exec_module(module_from_spec(spec))


def test_the_version_is_the_distributions() -> None:
    assert fit.__version__ == version("capspace")


def documented() -> list[tuple[str, str]]:
    """Return the docstrings of all public names, and of the public methods of classes."""
    docstrings = []
    for name in fit.__all__:
        thing = getattr(fit, name)
        if not callable(thing):
            continue
        docstrings.append((name, getdoc(thing) or ""))
        members = vars(thing).items() if isclass(thing) else ()
        docstrings += [
            (f"{name}.{m}", getdoc(v) or "") for m, v in members if not m.startswith("_")
        ]
    return docstrings


def test_no_public_docstring_refers_to_a_private_name() -> None:
    private = re.compile(r"(?:^|[.\s`(])_[a-z]\w*")
    quoted = [(name, text) for name, doc in documented() for text in re.findall(r"``[^`]*``", doc)]
    assert quoted
    assert [(name, text) for name, text in quoted if private.search(text)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_function_and_estimator_has_an_example(room: str) -> None:
    module = import_module(f"capspace.fit.{room}")
    named = {name: getattr(module, name) for name in module.__all__}
    shown = {
        name: thing
        for name, thing in named.items()
        if isfunction(thing) or (isclass(thing) and issubclass(thing, BaseEstimator))
    }
    assert shown
    assert [name for name, thing in shown.items() if ">>> " not in (getdoc(thing) or "")] == []


@pytest.mark.slow
def test_former_names_work_and_say_the_new_one() -> None:
    reference = load_reference()
    scores = pd.DataFrame(ROW, index=["mine"])
    now = TargetLaw("bbh", method=FAST).fit(reference)
    with pytest.warns(DeprecationWarning, match=r"is now TargetLaw\(target\)\.fit\(reference\)$"):
        former = fit.fit_target(reference, "bbh")
    with pytest.warns(DeprecationWarning, match="the attribute law is now law_"):
        assert former.law.intercept_ == now.law_.intercept_
    with pytest.warns(DeprecationWarning, match="method"):
        (prediction,) = former.predict(scores, method=FAST)
    with pytest.warns(DeprecationWarning, match=r"\.predict\(scores\)$"):
        (other,) = fit.predict_target(reference, "BBH", scores, method=FAST)
    assert prediction == other == now.predict(scores)[0]
    assert former.target.name == "bbh"
    with pytest.raises(AttributeError, match="no attribute 'lwa'"):
        _ = former.lwa


@pytest.mark.slow
def test_former_names_give_the_former_results() -> None:
    reference = load_reference()
    low = pd.DataFrame({**ROW, "MMLU": 0.05}, index=["mine"])
    now = TargetLaw("bbh").fit(reference)
    with pytest.warns(DeprecationWarning, match="fit_target"):
        former = fit.fit_target(reference, "bbh")
    # A score far below chance is predicted from, as it was.
    (used,) = predicted = former.predict(low)
    assert type(predicted) is list
    assert used == now.predict(low, keep=True)[0]
    assert used.mean == pytest.approx(0.319926, abs=1e-6)
    # An interval method counts for its call alone.
    with pytest.warns(DeprecationWarning, match="method"):
        other = former.predict(low, method=FAST)
    assert other[0].lower != used.lower
    assert former.predict(low) == predicted
    with pytest.warns(DeprecationWarning, match="predict_target"):
        assert type(fit.predict_target(reference, "bbh", low, method=FAST)) is list


@pytest.mark.slow
def test_a_former_field_of_a_placement_is_read(placement: Placement) -> None:
    with pytest.warns(DeprecationWarning, match=r"Placement\.laws"):
        assert placement.fits is placement.laws


def test_a_target_law_and_its_interval_are_cloned_with_their_parameters() -> None:
    law = TargetLaw("bbh", n_components=2, method=TwoView(n_refits=7))
    assert law.get_params()["method__n_refits"] == 7
    copy = clone(law).set_params(method__n_refits=3)
    assert (copy.target, copy.n_components, copy.method.n_refits) == ("bbh", 2, 3)
    assert law.method.n_refits == 7
    assert clone(JackknifePlus()).name == "jackknife+"


def test_a_law_that_was_not_fitted_says_so() -> None:
    with pytest.raises(ValueError, match="not fitted yet"):
        TargetLaw("bbh").predict(pd.DataFrame(ROW, index=["mine"]))


@pytest.mark.slow
def test_an_interval_method_takes_what_a_law_has_learned(placement: Placement) -> None:
    law = placement.laws["bbh"]
    complete = law.scores_.dropna().to_numpy()[:3]
    interval = JackknifePlus().predict(law.fitted_, complete, level=0.8)
    assert (interval.lower < interval.mean).all()
    assert repr(interval) == "Interval(3 scores at 80%)"


def test_a_placement_and_its_predictions_show_themselves_in_a_line(placement: Placement) -> None:
    prediction = placement.predictions[0]
    digits = f"{prediction.mean:.2f} [{prediction.lower:.2f}, {prediction.upper:.2f}]"
    assert repr(prediction) == f"Prediction(bbh: {digits} at 90%, inside)"
    assert repr(placement.predictions) == "Predictions(1 model × 2 targets)"
    assert repr(placement).startswith(f"Placement({HOSTILE}: 3 of 8 benchmarks, near ")
    for result in (
        placement.table, placement.reference, placement.place, placement.equivalent,
        placement.laws["bbh"].fitted_, placement.axes["bbh"],
    ):  # fmt: skip
        assert "\n" not in repr(result)
        assert len(repr(result)) < 120


def test_results_are_tables(placement: Placement) -> None:
    frame = placement.to_frame()
    assert list(frame["target"]) == ["bbh", "gsm8k-cot"]
    assert frame.loc[0, "prediction"] == placement.predictions[0].mean
    assert placement.table.to_frame().equals(placement.table.scores)
    assert list(placement.place.to_frame().columns[:2]) == ["PC-1", "PC-2"]
    assert placement.equivalent is not None
    assert placement.equivalent.to_frame().loc[0, "scale"] == placement.equivalent.scale[0]


def test_names_of_strangers_stay_text_in_a_notebook(placement: Placement) -> None:
    for shown in (placement, placement.predictions, placement.predictions[0], placement.table):
        html = shown._repr_html_()
        assert "&lt;script&gt;" in html
        assert "<script" not in html
        assert "<table" in html

"""Every target of a reference, predicted for models that the fit was made without."""

from __future__ import annotations

import numpy as np

from capspace.fit.completion._backtests import provider_tests
from capspace.fit.completion._training import Columns, TrainingTable
from capspace.fit.completion._views import Recipe
from capspace.fit.errors import FitError
from capspace.fit.prediction import TargetLaw
from capspace.fit.prediction._reference_laws import stored_laws
from capspace.fit.prediction._target_law import default_method
from capspace.fit.reference import Reference
from capspace.fit.reference._training_arguments import training_arguments
from capspace.fit.reference.left_out import LeftOut, left_out_of_tests


def predictions_left_out(reference: Reference) -> list[LeftOut]:
    """Return predictions at 90% of models left out, with their provider or family.

    Targets that the evaluation refuses have none, as no number is given for them.
    """
    parts = _by_family(reference) if reference.laws is None else _by_provider(reference)
    refused = {n for n, e in reference.evaluations.items() if e.status == "refused"}
    return [part for part in parts if len(part) and part.names[0] not in refused]


def _by_provider(reference: Reference) -> list[LeftOut]:
    scores, facts, arguments = training_arguments(reference)
    names = {name: arguments[name] for name in ("cheap", "targets", "anchors")}
    laws = stored_laws(reference)
    columns = Columns.of(scores, linear=laws.linear, **names)
    table = TrainingTable.of(scores, facts, columns, weight=arguments["sample_weight"])
    tests = provider_tests(table, Recipe(reference.kind))
    return left_out_of_tests(tests, laws)


def _by_family(reference: Reference) -> list[LeftOut]:
    parts = []
    for name in reference.targets:
        try:
            law = TargetLaw(name).fit(reference)
            interval = default_method(reference).leave_family_out(law.fitted_)
        except FitError:
            continue  # no law, so no number is given either
        numbers = (interval.mean, interval.lower, interval.upper, law.truth_.to_numpy(dtype=float))
        parts.append(LeftOut(np.full(len(law.truth_), name), *numbers))
    return parts

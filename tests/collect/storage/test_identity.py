import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capspace.collect.storage.identity import (
    HARNESS_SEEDS,
    Measurement,
    ModelIdentity,
    Seeds,
    TaskIdentity,
    canonical_json,
)

MODEL = ModelIdentity(checkpoint="hub:org/model@0123", dtype="bfloat16", backend="hf")
TASK = TaskIdentity(name="arc_challenge", version="1.0", definition="aa", data="hub")
CELL = Measurement(
    model=MODEL,
    tasks=(TASK,),
    n_shot=25,
    metric="acc_norm",
    filter="none",
    aggregate="mean",
    seeds=HARNESS_SEEDS,
    limit=None,
    harness="lm-eval 0.4.13",
)

OTHER_MODELS = [
    replace(MODEL, checkpoint="hub:org/model@4567"),
    replace(MODEL, dtype="float32"),
    replace(MODEL, backend="capspace"),
    replace(MODEL, backend_settings=(("max_length", "512"),)),
    replace(MODEL, adapter="sha256:ff"),
    replace(MODEL, chat_template=True),
    replace(MODEL, custom_code=True),
]
OTHER_CELLS = [
    *(replace(CELL, model=model) for model in OTHER_MODELS),
    replace(CELL, tasks=(replace(TASK, name="arc_easy"),)),
    replace(CELL, tasks=(replace(TASK, version="2.0"),)),
    replace(CELL, tasks=(replace(TASK, definition="bb"),)),
    replace(CELL, tasks=(replace(TASK, data="cc"),)),
    replace(CELL, tasks=(TASK, TASK)),
    replace(CELL, n_shot=0),
    replace(CELL, metric="acc"),
    replace(CELL, filter="strict-match"),
    replace(CELL, aggregate="sum"),
    replace(CELL, seeds=Seeds.of(0)),
    replace(CELL, limit=20),
    replace(CELL, harness="lm-eval 0.4.14"),
    replace(CELL, repeat=1),
]


def test_everything_that_can_change_a_number_changes_the_key() -> None:
    keys = [cell.key for cell in [CELL, *OTHER_CELLS]]
    assert len(set(keys)) == len(keys)
    keys = [model.key for model in [MODEL, *OTHER_MODELS]]
    assert len(set(keys)) == len(keys)


def test_the_cases_above_cover_every_field() -> None:
    def changed(before: object, other: object) -> set[str]:
        return {f for f, v in vars(before).items() if vars(other)[f] != v}

    assert set().union(*(changed(CELL, other) for other in OTHER_CELLS)) == set(vars(CELL))
    assert set().union(*(changed(MODEL, other) for other in OTHER_MODELS)) == set(vars(MODEL))


def test_the_key_is_the_same_in_every_process_and_release() -> None:
    # A change here orphans every store: raise the identity's schema on purpose, never by accident.
    assert CELL.key == "02ffac5d7052b7a0a8fca7fca02f28a21aa1ca2cfaba234e48ff60c9bfbd1352"
    assert MODEL.key == "b91cb1f1231b66311b5850fec1581ac41263daefdbc14ca0774cd2c14b1ad303"


def test_the_canonical_text_holds_the_whole_identity() -> None:
    identity = json.loads(CELL.canonical)
    assert identity["model"]["checkpoint"] == "hub:org/model@0123"
    assert identity["tasks"] == [vars(TASK)]
    assert identity["seeds"] == {"python": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}


def test_one_seed_is_all_four() -> None:
    assert Seeds.of(7) == Seeds(7, 7, 7, 7)
    assert Seeds.of(None) == Seeds(0, 1234, 1234, 1234)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_canonical_json_does_not_depend_on_order_and_reads_back(value: dict[str, object]) -> None:
    shuffled = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(shuffled)
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_has_no_form_for_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"score": float("nan")})

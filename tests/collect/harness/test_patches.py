"""What is put in the place of lm-eval's functions, and taken out again."""

from __future__ import annotations

from typing import Any

import lm_eval.utils
import pytest
from jinja2 import UndefinedError

from capspace.collect.harness.patches import templates_compiled_once


def test_a_template_is_compiled_once_and_renders_as_it_does_in_lm_eval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env, before = lm_eval.utils.env, lm_eval.utils.apply_template
    compile_anew, compiled = env.from_string, []

    def compile_noted(text: str) -> Any:
        compiled.append(text)
        return compile_anew(text)

    monkeypatch.setattr(env, "from_string", compile_noted)
    template = "{{ question|regex_replace('a+', 'b') }}: {{ choices[answer] }}\n"
    docs = [{"question": f"aa {i}", "choices": ["x", "y"], "answer": i % 2} for i in range(9)]
    alone = [before(template, doc) for doc in docs]
    assert alone[1] == "b 1: y\n"
    assert len(compiled) == 9
    with templates_compiled_once():
        assert [lm_eval.utils.apply_template(template, doc) for doc in docs] == alone
        with pytest.raises(UndefinedError, match="'question' is undefined"):
            lm_eval.utils.apply_template("{{ question }}", {})
    assert compiled == [template] * 10 + ["{{ question }}"]
    assert lm_eval.utils.apply_template is before

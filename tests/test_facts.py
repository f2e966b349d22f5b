"""What servers and lm-eval do with thoughts and answers, and which test holds it or refuses it.

Each row is a fact that bears on a score, with the tests that hold what capspace does about it: they
show it, or that it is refused. Versions: lm-eval 0.4.13, transformers 5.24.0.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from checkout import ROOT

OF_LM_EVALS_HF = {
    "nothing is passed of enable_thinking by default: the template's own default rules": (
        "test_modes_are_different_measurements_and_different_rows",
        "test_a_thinking_model_in_plain_mode_is_told",
    ),
    "a template that does not know enable_thinking ignores it": (
        "test_a_mode_that_a_checkpoint_does_not_have_is_one_line",
        "test_a_template_that_ignores_enable_thinking_is_one_line",
    ),
    "other arguments that a template does not name are ignored": (
        "test_an_argument_that_the_template_does_not_name_is_noted",
    ),
    "enable_thinking without a delimiter raises": (
        "test_a_thinking_mode_without_a_delimiter_is_one_line",
    ),
    "log-likelihoods with thinking on raise, rolling ones do not": (
        "test_log_likelihoods_with_thinking_on_are_refused_by_every_path",
        "test_log_likelihoods_are_refused_before_anything_is_generated",
    ),
    "chat_template_args gets round both checks": (
        "test_settings_of_a_mode_are_taken_out_of_the_arguments",
    ),
    "a delimiter that is a special token is never found as a text": (
        "test_lm_eval_alone_grades_thoughts_and_depends_on_the_batch",
        "test_a_delimiter_that_lm_eval_would_never_find_is_refused",
        "test_a_thinking_model_has_the_answers_and_scores_of_collect",
    ),
    "a thought without an end is graded whole": (
        "test_every_way_to_measure_thinks_answers_and_scores_alike",
        "test_a_score_of_unfinished_thoughts_is_marked",
        "test_each_cause_of_unfinished_answers_has_its_own_advice",
    ),
    "stop strings are watched inside the thought, and scores depend on the batch": (
        "test_lm_eval_alone_grades_thoughts_and_depends_on_the_batch",
        "test_every_way_to_measure_thinks_answers_and_scores_alike",
    ),
    "a text goes on behind its end of turn for as long as its neighbours in the batch": (
        "test_without_thoughts_lm_evals_own_run_has_the_same_answers_and_scores",
    ),
    "the checkpoint's max_new_tokens beats a task's max_gen_toks": (
        "test_the_budget_is_the_modes_and_not_the_checkpoints_own",
    ),
    "a budget beyond the context cuts the beginning of a prompt": (
        "test_a_budget_that_leaves_no_room_for_a_prompt_is_one_line",
    ),
}
OF_SERVERS = {
    "nothing tells a served model's dtype, revision or weights: it is what the user states": (
        "test_empty_cut_and_uncounted_answers_are_shown_and_no_key_is_written",
        "test_another_models_name_is_refused",
    ),
    "a request without a temperature has the checkpoint's own": (
        "test_a_greedy_request_has_a_budget_and_no_empty_field",
    ),
    "the first request's sampling settings may hold for all later ones": (
        "test_a_server_that_samples_at_temperature_zero_is_noted",
        "test_a_server_that_ignores_the_temperature_is_refused",
    ),
    "a seed repeats a text where requests come one at a time": (
        "test_each_repeat_has_a_seed_of_its_own_that_every_run_sends",
    ),
    "a text ends with the whole token that completed a stop string": (
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "any stop string may be refused": (
        "test_a_field_that_no_score_depends_on_is_left_out_where_it_is_refused",
    ),
    "arguments that a chat template does not know are ignored": (
        "test_a_template_that_ignores_enable_thinking_is_one_line",
    ),
    "a budget or a stop string that ends inside a thought gives an empty answer": (
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "a pinned server refuses another name, an unpinned one loads whatever is named": (
        "test_another_models_name_is_refused",
        "test_what_a_real_server_does_not_give_is_one_line",
    ),
    "unknown fields are refused; known ones may be ignored with status 200": (
        "test_a_field_that_no_score_depends_on_is_left_out_where_it_is_refused",
        "test_a_field_that_a_score_depends_on_is_never_left_out",
    ),
    "transformers serve has no log-probabilities": (
        "test_what_a_real_server_does_not_give_is_one_line",
    ),
    "finish_reason says length also where the end token is the last of the budget": (
        "test_an_answer_is_cut_where_its_budget_was_used_up",
    ),
    "without max_tokens the checkpoint's own limit rules": (
        "test_a_greedy_request_has_a_budget_and_no_empty_field",
    ),
    "a temperature may be ignored": ("test_a_server_that_ignores_the_temperature_is_refused",),
    "greedy texts at eight requests at once equal those alone": (
        "test_greedy_answers_equal_both_local_runs_alone_and_eight_at_once",
    ),
    "an empty stop is an error, and stop strings may stay in the text": (
        "test_a_greedy_request_has_a_budget_and_no_empty_field",
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "chat_template_kwargs is honoured": ("test_the_mode_is_in_the_request",),
    "a thought comes apart from the answer or within it": (
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "a prompt past the context is answered with status 200": (
        "test_answers_past_the_context_are_refused",
        "test_prompts_are_counted_before_they_are_sent",
    ),
}
OF_LM_EVALS_API_MODELS = {
    "log-likelihood tasks fail after the generative ones have run": (
        "test_a_server_without_log_probabilities_measures_the_rest",
        "test_chat_completions_have_no_log_probabilities_of_given_answers",
    ),
    "a task's temperature is sent beside do_sample: false": (
        "test_a_greedy_request_has_a_budget_and_no_empty_field",
    ),
    "every other generation setting is sent, whatever the server makes of it": (
        "test_a_generation_setting_without_a_field_is_refused_before_a_request",
    ),
    "requests differ by how many are under way": (
        "test_greedy_answers_equal_both_local_runs_alone_and_eight_at_once",
    ),
    "prompts are cut to 2,047 tokens, or not at all": (
        "test_prompts_are_counted_before_they_are_sent",
    ),
    "enable_thinking is dropped, and stop strings are not applied behind a thought": (
        "test_the_mode_is_in_the_request",
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "only the first four stop strings are sent, and none is applied": (
        "test_the_thought_is_cut_then_every_stop_string",
    ),
    "the same seed goes with every repeat": (
        "test_each_repeat_has_a_seed_of_its_own_that_every_run_sends",
        "test_a_sampled_request_has_its_own_seed",
    ),
    "an empty answer is graded; finish_reason, usage and the thought are dropped": (
        "test_empty_cut_and_uncounted_answers_are_shown_and_no_key_is_written",
    ),
    "a request that fails three times ends the run, and all answers are lost": (
        "test_a_killed_client_a_restarted_server_and_failing_requests",
        "test_a_refusal_is_shown_in_the_servers_words_and_sent_once",
    ),
    "log-probabilities of generated tokens alone score 0 for every choice": (
        "test_log_probabilities_are_proved_before_they_are_used",
        "test_what_is_no_echo_is_refused",
    ),
}
FACTS = {**OF_LM_EVALS_HF, **OF_SERVERS, **OF_LM_EVALS_API_MODELS}


@pytest.fixture(scope="module")
def tests() -> Counter[str]:
    """How often each test is defined."""
    texts = [path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    return Counter(name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.M))


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_is_held_by_tests_that_exist(fact: str, tests: Counter[str]) -> None:
    assert FACTS[fact]
    assert [name for name in FACTS[fact] if tests[name] != 1] == []

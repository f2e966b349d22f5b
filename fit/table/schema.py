"""The columns of a score table, and of the table of facts beside it."""

__all__ = [
    "FACT_COLUMNS",
    "FACT_NUMBERS",
    "KEY_COLUMNS",
    "NUMBER_COLUMNS",
    "SCORE_COLUMNS",
    "SCORE_NUMBERS",
]

SCORE_COLUMNS = (
    "model",
    "revision",
    "benchmark",
    "score",
    "stderr",
    "n_items",
    "n_shot",
    "protocol",
    "source",
    "comparable",
)
KEY_COLUMNS = ("model", "revision", "benchmark", "n_shot", "protocol")
FACT_COLUMNS = (
    "family",
    "parameters",
    "training_tokens",
    "training_flops",
    "release_date",
    "tuning",
    "provider",
    "mode",
)
SCORE_NUMBERS = ("score", "stderr", "n_items", "n_shot")
FACT_NUMBERS = ("parameters", "training_tokens", "training_flops")
NUMBER_COLUMNS = (*SCORE_NUMBERS, *FACT_NUMBERS)
"""Columns of scores and facts that hold numbers; all others hold text."""

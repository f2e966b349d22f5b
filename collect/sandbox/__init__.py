"""Code that a model wrote runs where it can reach nothing and forge nothing."""

from .judging import (
    SANDBOX_FILTER,
    Limits,
    Sample,
    Verdict,
    check_sandbox,
    judge,
    judge_all,
)

__all__ = ["SANDBOX_FILTER", "Limits", "Sample", "Verdict", "check_sandbox", "judge", "judge_all"]

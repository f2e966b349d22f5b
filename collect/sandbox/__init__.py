"""Running code that a model wrote where it can reach nothing and forge nothing."""

from capspace.collect.sandbox.judging import (
    Limits,
    Sample,
    Verdict,
    check_sandbox,
    judge,
    judge_all,
)

__all__ = ["Limits", "Sample", "Verdict", "check_sandbox", "judge", "judge_all"]

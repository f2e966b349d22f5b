#!/usr/bin/env bash
# lm-eval: hendrycks_math500 gives no point for a right \boxed{} answer that stands in prose.
#
# Its process_results compares what stands between the first and the last dollar sign of a response,
# or the whole response where there are fewer than two, with what is boxed in the solution. The box
# of the response itself is never looked for, though models are trained to answer in one.
#
# Leaves with 0 while that is so, and with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "lm-eval==0.4.13" || exit 3
cd "$folder"

cat > show.py <<'PY'
from importlib.metadata import version

from lm_eval.tasks.hendrycks_math.utils import process_results

DOC = {"solution": r"Adding both sides gives $x=\boxed{12}$."}
responses = {
    "12": 1,
    "$12$": 1,
    r"The answer is \boxed{12}.": 0,
    r"The answer is $\boxed{12}$.": 0,
    r"As $x+1=13$, the answer is $12$.": 0,
}
print(f"lm-eval {version('lm_eval')}; exact_match of responses to a problem whose answer is 12:")
scores = {text: process_results(DOC, [text])["exact_match"] for text in responses}
for text, score in scores.items():
    print(f"  {score}  {text}")
raise SystemExit(0 if scores == responses else "changed: other responses get the point")
PY
"$folder/venv/bin/python" show.py

#!/usr/bin/env bash
# lm-eval: a revision that looks like a number becomes one, so two commits become the same.
#
# The values of --model_args are cast by what they look like. A short commit hash such as 5e12345 is
# the float inf then, and 0012345 the integer 12345; both the model class and the results file get
# that instead of what was typed.
#
# Leaves with 0 while that is so, and with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "lm-eval==0.4.13" "datasets==5.2.0" || exit 3
cd "$folder"
export HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$folder/cache" HF_DATASETS_DISABLE_PROGRESS_BARS=1

echo '{"question": "1 + 1 =", "answer": "2"}' > test.jsonl
cat > task.yaml <<YAML
task: one_question
dataset_path: json
dataset_kwargs: {data_files: {test: $folder/test.jsonl}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
YAML

run() {  # revision
    "$folder/venv/bin/lm-eval" run --model dummy --tasks one_question --include_path "$folder" \
        --model_args "pretrained=org/model,revision=$1" --output_path "$folder/$1" \
        > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    "$folder/venv/bin/python" - "$1" "$folder/$1" <<'PY'
import json, pathlib, sys
(path,) = pathlib.Path(sys.argv[2]).rglob("results*.json")
print(sys.argv[1], "->", json.loads(path.read_text())["config"]["model_args"]["revision"])
PY
}

"$folder/venv/bin/python" -c 'from importlib.metadata import version; print("lm-eval", version("lm-eval"))'
run 5e12345 | tee -a seen
run 6e54321 | tee -a seen
run 0012345 | tee -a seen
printf '5e12345 -> inf\n6e54321 -> inf\n0012345 -> 12345\n' | diff - seen
echo "two commits are one revision, and a third lost its zeros"

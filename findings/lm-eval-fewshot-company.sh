#!/usr/bin/env bash
# lm-eval: the few-shot examples of a document depend on which documents are built with it.
#
# ConfigurableTask.build_all_requests draws the examples of all documents from one random stream,
# in the order in which this process builds them. With --samples, or in a run of two processes, the
# same document with the same seed is asked with other examples than in the plain run.
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

cat > items.py <<'PY'
import json
for split, letter in (("train", "T"), ("test", "Q")):
    with open(f"{split}.jsonl", "w") as file:
        for i in range(20):
            print(json.dumps({"question": f"{letter}{i}", "answer": f"a{i}"}), file=file)
PY
cat > task.yaml <<YAML
task: questions
dataset_path: json
dataset_kwargs: {data_files: {train: $folder/train.jsonl, test: $folder/test.jsonl}}
test_split: test
fewshot_split: train
num_fewshot: 3
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
YAML
cat > show.py <<'PY'
import logging
from importlib.metadata import version

from lm_eval.tasks import TaskManager

logging.disable(logging.CRITICAL)


def prompt_of_document_3(**part):
    manager = TaskManager(include_path=".", include_defaults=False)
    task = manager.load(["questions"])["tasks"]["questions"]
    task.set_fewshot_seed(1234)  # lm-eval's own default
    task.build_all_requests(**part)
    (prompt,) = [i.args[0] for i in task.instances if i.doc["question"] == "Q3"]
    return prompt.replace("\n\n", " | ")


print(f"lm-eval {version('lm_eval')}, datasets {version('datasets')}; what document 3 is asked:")
asked = {
    "the plain run": prompt_of_document_3(),
    "second of two processes": prompt_of_document_3(rank=1, world_size=2),
    "--samples of it alone": prompt_of_document_3(samples=[3]),
}
for name, prompt in asked.items():
    print(f"  {name:24} {prompt}")
raise SystemExit(0 if len(set(asked.values())) == 3 else "changed: the prompts are no longer three")
PY
"$folder/venv/bin/python" items.py
"$folder/venv/bin/python" show.py 2> errors || { cat errors >&2; exit 1; }

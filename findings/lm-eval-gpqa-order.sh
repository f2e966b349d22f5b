#!/usr/bin/env bash
# lm-eval: the option order of GPQA is not a function of --seed but of the cache of `datasets`.
#
# The tasks shuffle the options inside Dataset.map. In gpqa_*_zeroshot (and cot, generative,
# leaderboard_gpqa) by the global `random`, which the cache's key does not hold: whichever seed came
# first on a machine decides for all seeds after it. In gpqa_*_n_shot by a generator of the module,
# whose state the key does hold: on a machine without a cache the documents are shuffled anew at each
# reading, so that the options that are asked and those that are scored differ.
#
# Leaves with 0 while that is so, and with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "lm-eval==0.4.13" "datasets==5.2.0" || exit 3
cd "$folder"
export HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1

cat > items.py <<'PY'
# Invented items in the columns of GPQA, which itself may not be copied.
import json
with open("train.jsonl", "w") as file:
    for i in range(40):
        wrong = {f"Incorrect Answer {k}": str(i * i + k) for k in (1, 2, 3)}
        print(json.dumps({"Question": f"{i}^2?", "Correct Answer": str(i * i), **wrong}), file=file)
PY
cat > show.py <<'PY'
import logging
import random
import sys
from pathlib import Path

import lm_eval.tasks

logging.disable(logging.CRITICAL)
name, seed = sys.argv[1], int(sys.argv[2])
folder = Path(lm_eval.tasks.__file__).parent / "gpqa"
manager = lm_eval.tasks.TaskManager(include_path=folder, include_defaults=False)
here = {
    "dataset_path": "json",
    "dataset_name": None,
    "dataset_kwargs": {"data_files": {"train": "train.jsonl"}},
}
random.seed(seed)  # as simple_evaluate does before it loads the tasks
# Other files are merged into a task of lm-eval's only inside a group.
task = manager.load([{"group": "here", "task": [{"task": name, **here}]}])["tasks"][name]
task.set_config("num_fewshot", 0)
task.build_all_requests()
asked = [i.doc["answer"] for i in task.instances if i.idx == 0]
scored = [doc["answer"] for _, doc in task.doc_iterator()]  # as evaluate does for process_results
print("".join(a[1] for a in asked), sum(a == s for a, s in zip(asked, scored)))
PY
python=$folder/venv/bin/python
"$python" items.py
run() { HF_DATASETS_CACHE=$folder/$1 "$python" show.py "$2" "$3" 2> errors || { cat errors >&2; exit 1; }; }

"$python" -c 'from importlib.metadata import version
print("lm-eval", version("lm_eval"), "datasets", version("datasets"))'
echo "The right options of 40 items as they are asked, and how many are scored as they are asked:"
show() { printf '  %-52s %s\n' "$1" "$2"; }
a=$(run one gpqa_main_zeroshot 0); show "zeroshot, seed 0, machine one" "$a"
b=$(run one gpqa_main_zeroshot 1); show "zeroshot, seed 1, machine one" "$b"
c=$(run two gpqa_main_zeroshot 1); show "zeroshot, seed 1, machine two" "$c"
d=$(run three gpqa_main_n_shot 0); show "n_shot, seed 0, machine three, first run" "$d"
e=$(run three gpqa_main_n_shot 0); show "n_shot, seed 0, machine three, second run" "$e"
[ "$a" = "$b" ] && [ "$b" != "$c" ] && [ "${d##* }" -lt 40 ] && [ "${e##* }" -eq 40 ] ||
    { echo "changed: this is no longer so" >&2; exit 1; }

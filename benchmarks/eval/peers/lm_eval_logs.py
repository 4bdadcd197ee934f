"""Runs in an environment that has lm_eval (lm-evaluation-harness): a small evaluation by a scripted model.

PYTHON lm_eval_logs.py FOLDER      results_*.json and samples_*.jsonl under FOLDER/results, with the harness's writer
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

CAPITALS = [
    ("What is the capital of France?", ["Lyon", "Paris"], 1),
    ("What is the capital of Japan?", ["Tokyo", "Kyoto"], 0),
    ("What is the capital of Peru?", ["Cusco", "Lima"], 1),
    ("What is the capital of Kenya?", ["Nairobi", "Mombasa"], 0),
]
SUMS = [
    ("2 + 2", "4", "The answer is 4."),
    ("3 + 4", "7", "It is 7"),
    ("5 + 5", "10", "The answer is 11."),
    ("1 + 1", "2", "The answer is 2."),
]
TASKS = {
    "capitals": """
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
metadata: {version: 1.0}
""",
    "sums": """
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}} ="
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n"], do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
filter_list:
  - name: strict-match
    filter: [{function: regex, regex_pattern: "The answer is (\\\\d+)"}, {function: take_first}]
  - name: flexible-extract
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\\\d+)"}, {function: take_first}]
metadata: {version: 2.0}
""",
    "prose": """
task: prose
dataset_path: json
dataset_kwargs: {data_files: {test: prose.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - {metric: word_perplexity, aggregation: weighted_perplexity, higher_is_better: false}
metadata: {version: 1.0}
""",
}


class Scripted(LM):
    """Answers the sums as above, and finds the longer choice likelier."""

    def loglikelihood(self, requests: Any) -> list[tuple[float, bool]]:
        return [(-10.0 / len(request.args[1]), False) for request in requests]

    def loglikelihood_rolling(self, requests: Any) -> list[float]:
        return [-2.0 * len(request.args[0].split()) for request in requests]

    def generate_until(self, requests: Any) -> list[str]:
        said = {question: answer for question, _, answer in SUMS}
        return [said[request.args[0].removesuffix(" =")] for request in requests]


def write(folder: Path) -> None:
    """Data, tasks, and the harness's own results."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "capitals": [
            {"id": f"capital-{i}", "question": q, "choices": c, "label": n} for i, (q, c, n) in enumerate(CAPITALS)
        ],
        "sums": [{"id": f"sum-{i}", "question": q, "answer": a} for i, (q, a, _) in enumerate(SUMS)],
        "prose": [{"id": "prose-0", "text": "Some words that were written."}],
    }
    for name, text in TASKS.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data[name]))
        (folder / f"{name}.yaml").write_text(text)
    os.chdir(folder)  # so that no path of this machine stands in the results
    tracker = EvaluationTracker(output_path="results")
    tracker.general_config_tracker.log_experiment_args("scripted", "pretrained=org/scripted-1b", None, None, False)
    found = simple_evaluate(
        Scripted(), tasks=list(TASKS), task_manager=TaskManager(include_path=".", include_defaults=False),
        log_samples=True, bootstrap_iters=0,
    )  # fmt: skip
    assert found is not None
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    for name in TASKS:
        tracker.save_results_samples(task_name=name, samples=samples[name])


if __name__ == "__main__":
    write(Path(sys.argv[1]))

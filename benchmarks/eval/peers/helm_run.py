"""Runs in an environment that has crfm-helm: a run of its tutorial scenario by a scripted model.

PYTHON helm_run.py FOLDER      FOLDER/runs/peer/<run>/{run_spec,scenario_state,per_instance_stats,stats}.json
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

from helm.benchmark.augmentations.data_augmenter import DataAugmenterSpec
from helm.benchmark.augmentations.perturbation import PerturbationSpec
from helm.benchmark.config_registry import register_builtin_configs_from_helm_package
from helm.benchmark.executor import ExecutionSpec
from helm.benchmark.run_specs.simple_run_specs import get_simple_mcqa_run_spec
from helm.benchmark.runner import Runner
from helm.clients.simple_client import SimpleClient


def answer(self: Any, raw: Any) -> dict[str, Any]:
    """Even or odd, wrong for numbers that 7 divides, and in lower case for those above 80."""
    number = int(re.findall(r"\d+", raw["prompt"])[-1])
    letter = "AB"[(number + (number % 7 == 0)) % 2]
    return {"completions": [f" {letter.lower() if number > 80 else letter}"]}


def run(folder: str) -> None:
    """Three questions on even and odd, as they are and in lower case, with two training trials."""
    SimpleClient.invoke_model = answer
    register_builtin_configs_from_helm_package()
    spec = get_simple_mcqa_run_spec()
    adapter = replace(
        spec.adapter_spec, model="simple/model1", model_deployment="simple/model1", max_eval_instances=3,
        max_train_instances=2, num_train_trials=2,
    )  # fmt: skip
    lower = PerturbationSpec("helm.benchmark.augmentations.lowercase_perturbation.LowerCasePerturbation")
    augment = DataAugmenterSpec([lower], should_include_original_eval=True, should_augment_eval_instances=True)
    spec = replace(spec, data_augmenter_spec=augment, name="simple_mcqa:model=simple_model1", adapter_spec=adapter)
    execution = ExecutionSpec(
        local_path=f"{folder}/prod_env", parallelism=1, dry_run=False, sqlite_cache_backend_config=None, url=None,
        auth=None, mongo_cache_backend_config=None,
    )  # fmt: skip
    runner = Runner(
        execution, folder, "peer", skip_instances=False, cache_instances=False, cache_instances_only=False,
        skip_completed_runs=False, exit_on_error=True,
    )  # fmt: skip
    runner.run_all([spec])


if __name__ == "__main__":
    run(sys.argv[1])

"""``dstill alternate``: prompts and weights in turn."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options as opt
from .ending import end


def alternate(
    task: opt.TaskOpt,
    lm: opt.LmOpt,
    student: Annotated[str, typer.Option(help="embedded:small, a model folder, or a hub name.")],
    strategy: Annotated[str, typer.Option(help="p searches prompts, w trains weights; in turn.")] = "p -> w -> p",
    optimizer: Annotated[str, typer.Option(help="How prompts are searched; see dstill compile.")] = "race",
    search: Annotated[list[str] | None, typer.Option(help="A setting of it, e.g. candidates=12.")] = None,
    recipe: Annotated[str, typer.Option(help="How weights are trained; see dstill distill.")] = "prompted",
    margin: Annotated[float, typer.Option(help="What the program may lose with new weights, in score.")] = 0.01,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of the recipe, e.g. lora=16.")] = None,
    calls: opt.CallsOpt = None,
    tokens: opt.TokensOpt = None,
    usd: opt.UsdOpt = None,
    seconds: opt.SecondsOpt = None,
    seed: opt.SeedOpt = 0,
    task_arg: opt.TaskArg = None,
    prompt_lm: Annotated[str | None, typer.Option(help="The model that writes instructions.")] = None,
    base_url: opt.UrlOpt = None,
    name: opt.NameOpt = None,
    replace: opt.ReplaceOpt = False,
) -> None:
    """Search prompts, train weights on the runs that they make good, search prompts for the new weights, and so on.

    Example:  dstill alternate --task triage --lm openai/gpt-4.1-mini --student Qwen/Qwen3-0.6B --set lora=16 --usd 5
    """
    from .distill.alternate import alternate as alternate_
    from .distill.alternated import Alternation
    from .distill.recipes import recipe_of
    from .optimizers.compile import Where
    from .optimizers.config import optimizer_of
    from .programs.library import task_named
    from .runtime.budget import Budget
    from .runtime.models import lm_for

    made_task = task_named(task, **opt.pairs(task_arg, "--task-arg"))
    options: dict[str, Any] = {"base_url": base_url} if base_url else {}
    searching = optimizer_of(optimizer, **opt.pairs(search, "--search"))
    how = Alternation(strategy, searching, recipe_of(recipe, **opt.pairs(setting, "--set")), margin)
    made = alternate_(
        made_task, lm_for(lm, **options), student, how, Budget(calls, tokens, usd, seconds), seed,
        prompt_lm=prompt_lm, run=Where(name, replace=replace),
    )  # fmt: skip
    print(made)
    print(f"run directory: {made.folder}")
    end(made.stopped)

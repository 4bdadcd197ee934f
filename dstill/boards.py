"""``dstill leaderboard``: a board of evaluations, and folders of boards to add to, check and serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import options as opt
from .ending import fail, say

DEFAULT = "show"
SHOWN = 20
"""Problems that a check prints; it says how many more there are."""


class WithDefault(TyperGroup):
    """Commands of which one need not be named: ``dstill leaderboard RUN`` is ``dstill leaderboard show RUN``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of what is neither a command nor a call for help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        found: list[str] = super().parse_args(ctx, args)
        return found


boards = typer.Typer(
    cls=WithDefault,
    no_args_is_help=True,
    help="""A board of finished evaluations; or of a folder that evaluations are added to and anybody can check.

    Example:  dstill leaderboard runs/triage-mini-test runs/triage-small-test --out boards

    A run whose directory is called like one of the commands below is written with its path: ./check
    """,
)

BoardOpt = Annotated[Path, typer.Option("--board", help="The board's folder; made where there is none.")]
FolderArg = Annotated[Path, typer.Argument(help="A board's folder.")]


@boards.command()
def add(
    results: opt.ResultsArg,
    board: BoardOpt,
    version: Annotated[str, typer.Option(help="What to call this version, e.g. v2; its number by default.")] = "",
    note: Annotated[str, typer.Option(help="A line for readers of board.json.")] = "",
    baseline: Annotated[str, typer.Option(help="From now on, the system to measure gains against.")] = "",
    cluster: opt.ClusterOpt = None,
    shared: Annotated[bool, typer.Option("--shared", help="Of different examples, take those all have.")] = False,
    form: opt.FormOpt = None,
    task: opt.TasksOpt = None,
    metric: opt.MetricsOpt = None,
    rename: opt.RenameOpt = None,
    id: opt.IdOpt = None,
    scale: opt.ScaleOpt = None,
    repeats: opt.RepeatsOpt = "mean",
) -> None:
    """Add evaluations, ours or other tools', to a board's folder, for good.

    A new one of a known system is its next version. Several people may add at once. What is there already is not added
    twice. The digest that is printed vouches for everything up to there: keep it, and check with --head that nothing
    was changed since.

    Example:  dstill leaderboard add runs/triage-mini-test --board boards/triage --version v2
    """
    from .eval.clusters import clustered
    from .eval.interchange import named
    from .eval.publish import BoardFolder, Label
    from .results import How, read_all

    found = read_all(results, How(form, task or (), metric or (), rename or (), id, scale, repeats))
    folder = BoardFolder(board)
    there = folder.entries() if folder.exists() else ()
    reports = named(found, [entry.key for entry in there])
    if cluster is not None:
        reports = [clustered(report, cluster) for report in reports]
    entries = folder.add(reports, Label(version, note, shared, baseline), git=revision(results[0]))
    for entry, report in zip(entries, reports, strict=True):
        print(f"{entry.version if entry.number > len(there) else f'{entry.version} was there already'}: {report}")
    every = folder.entries()
    print(f"{board}: {len(every)} entries, head {every[-1].digest}")
    print(f"\nleaderboard: {board / 'leaderboard.html'}")


@boards.command()
def check(
    folder: FolderArg,
    head: Annotated[str, typer.Option(help="A digest kept from before; it must still be an entry's.")] = "",
) -> None:
    """Recompute every figure of a board from the rows, and check that no entry was altered, removed or moved.

    Exit code 0 if everything is as it was added, 5 if not: each line names the figure or file and the row file.

    Example:  dstill leaderboard check boards/triage --head 61f27c79b88f
    """
    from .eval.publish import check_board

    found = check_board(folder, head=head)
    if found.problems:
        rest = len(found.problems) - SHOWN
        more = [f"and {rest} more"] if rest > 0 else []
        fail("\n".join([f"{folder} is not what was added to it", *found.problems[:SHOWN], *more]), 5)
    print(
        f"{folder}: {found.entries} entries of {found.systems} systems as they were added; {found.figures:,} figures "
        f"are what the rows give; head {found.head}"
    )
    if found.pages_by:
        from importlib.metadata import version

        print(
            f"not made anew, and so not compared: the pages, which dstill {found.pages_by:.40} has made (this is "
            f"{version('dstill')}); dstill leaderboard add makes them anew"
        )


@boards.command()
def serve(
    folder: FolderArg,
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1; 0 takes a free one.")] = 8000,
) -> None:
    """Show a board's folder in a browser on this machine; entries that are added meanwhile show up.

    Only 127.0.0.1 is listened on. Ctrl-C ends it.

    Example:  dstill leaderboard serve boards/triage --port 8000
    """
    from .eval.publish import BoardServer

    with BoardServer(folder, port) as server:
        print(f"{folder} is at {server.url}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("no longer served")


def revision(word: str) -> str | None:
    """The commit that a run's manifest names, where there is one."""
    from .runtime.rundir import MANIFEST, read_manifest

    run = Path(word if Path(word).exists() else word.partition("=")[2])
    git = read_manifest(run).get("git") if (run / MANIFEST).is_file() else None
    return git if isinstance(git, str) else None

"""An explanation as text for the terminal, and as a picture and a page that ask the network for nothing."""

from __future__ import annotations

import html
from collections.abc import Sequence

from .blame import blame
from .candidate import short
from .explain import Explanation, Step
from .history import History, Trial

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 220, 48, 34, 14
COLUMNS, LINES = 60, 8
"""Of the plot in a terminal."""
SHOWN = 8
"""Ids of examples that are named; the rest are counted."""


def text(found: Explanation) -> str:
    """For the terminal."""
    parts = [f"{found.name}: {found.verdict}", ""]
    parts += [f"{lead}{line(trial, found)}" for lead, trial in tree(found.trials)]
    parts += ["", chosen(found)]
    parts += [f"  {said}" for said in outcomes(found)]
    if found.front is not None:
        parts += ["", "the front", str(found.front)]
    if found.proposers:
        parts += ["", *(f"{cells[0]:<16}{''.join(f'{c:>12}' for c in cells[1:])}" for cells in costs(found))]
    if told := blamed(found):
        parts += ["", *told]
    if found.ending:
        parts += ["", f"ended: {found.ending}"]
    if found.course:
        parts += ["", "best so far (points) against calls of evaluations", *plot(found.course)]
    return "\n".join(parts)


def tree(trials: Sequence[Trial]) -> list[tuple[str, Trial]]:
    """Trials below the first of their parents, each with the branches to draw in front of it."""
    below: dict[int, list[Trial]] = {}
    for trial in trials[1:]:
        below.setdefault(trial.parents[0] if trial.parents else 0, []).append(trial)
    placed: list[tuple[str, Trial]] = [("", trials[0])] if trials else []

    def hang(number: int, lead: str) -> None:
        own = below.get(number, [])
        for trial in own:
            last = trial is own[-1]
            placed.append((lead + ("└─ " if last else "├─ "), trial))
            hang(trial.number, lead + ("   " if last else "│  "))

    hang(0, "")
    return placed


def line(trial: Trial, found: Explanation) -> str:
    """A trial in a line: where it came from, its score, what it cost, what became of it."""
    others = f" (also of {', '.join(map(str, trial.parents[1:]))})" if len(trial.parents) > 1 else ""
    score = f"{100 * trial.mean:.1f} on {len(trial.scores)}, {trial.cost.calls:,} calls" if trial.met else "never met"
    return f"{trial.number} {trial.origin}{others}: {score}; {fate(trial, found)}"


def fate(trial: Trial, found: Explanation) -> str:
    """What became of a trial, and why."""
    if trial.number == found.best:
        return f"WON: {trial.why}" if trial.why else "WON"
    if trial.decision == "live":
        return "still open when the search ended"
    return f"{trial.decision}: {trial.why}" if trial.why else trial.decision


def chosen(found: Explanation) -> str:
    """What was chosen, or that the declared program stays."""
    best = f"trial {found.best}, {short(found.trials[found.best].candidate)}"
    return f"chosen: {best}" if not found.stays else f"chosen: the declared program; {best}, gained nothing over it"


def outcomes(found: Explanation) -> list[str]:
    """On which examples the chosen one won and lost against the declared program."""
    if found.best == 0:
        return []
    where = {"the examples that choose": found.against_declared(), "the examples kept apart": found.confirmed}
    return [
        f"{word} on {len(ids)} of {place}{': ' + _some(ids) if ids else ''}"
        for place, both in where.items()
        for word, ids in zip(("won", "lost"), both, strict=True)
        if any(both)
    ]


def costs(found: Explanation) -> list[list[str]]:
    """What each proposer cost and brought, as cells under a head."""
    head = ["proposer", "candidates", "took lead", "asked", "calls", "evaluations", "improves"]
    return [
        head,
        *(
            [a.name, f"{a.brought}", f"{a.led}", f"{a.turns}", f"{a.making:,}", f"{a.evaluating:,}", f"{a.rate:.2f}"]
            for a in found.proposers
        ),
    ]


def blamed(found: Explanation) -> list[str]:
    """By predictor, how much of what was lost came back when it alone was told something else."""
    known = blame(History(found.trials))
    return [
        f"{name}: of {each.lost:.1f} examples lost, {100 * each.share:.0f} % came back when it alone was changed"
        for name, each in known.items()
        if len(known) > 1 and each.lost
    ]


def plot(course: Sequence[Step]) -> list[str]:
    """The course as characters: a column is a sixtieth of the calls."""
    low, high = _range(course)
    rows = [[" "] * COLUMNS for _ in range(LINES)]
    for column in range(COLUMNS):
        upto = course[-1].calls * (column + 1) / COLUMNS
        step = max((s for s in course if s.calls <= upto), key=lambda s: s.calls, default=None)
        if step is not None:
            rows[round((high - step.mean) / (high - low) * (LINES - 1))][column] = "•"
    marks = {0: f"{100 * high:.1f}", LINES - 1: f"{100 * low:.1f}"}
    drawn = [f"{marks.get(number, ''):>6} │{''.join(row).rstrip()}" for number, row in enumerate(rows)]
    return [*drawn, f"{'':>6} └{'─' * COLUMNS}", f"{'':>8}0{f'{course[-1].calls:,.0f} calls':>{COLUMNS - 1}}"]


def svg(course: Sequence[Step]) -> str:
    """The course as a picture; a dot where another trial took the lead."""
    low, high = _range(course)

    def at(calls: float, mean: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - 60) * calls / max(1.0, course[-1].calls)
        return f"{x:.1f}", f"{TOP + (HEIGHT - BOTTOM - TOP) * (high - mean) / (high - low):.1f}"

    points = " ".join(",".join(at(step.calls, step.mean)) for step in course)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        'font-family="sans-serif" font-size="11" fill="currentColor"><title>best so far against calls</title>',
        f'<polyline fill="none" stroke="currentColor" stroke-opacity="0.35" points="{",".join(at(0, high))} '
        f'{",".join(at(0, low))} {",".join(at(course[-1].calls, low))}"/>',
        *(f'<text x="{LEFT - 5}" y="{at(0, v)[1]}" text-anchor="end">{100 * v:.1f}</text>' for v in (low, high)),
        f'<text x="{LEFT}" y="{HEIGHT - 6}">best so far, against calls of evaluations</text>',
        f'<text x="{WIDTH - 60}" y="{HEIGHT - 18}" text-anchor="end">{course[-1].calls:,.0f}</text>',
        f'<polyline fill="none" stroke="#3b6fb6" stroke-width="1.5" points="{points}"/>',
    ]
    leader = None
    for step in course:
        if step.best != leader:
            x, y = at(step.calls, step.mean)
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="#c05a1e"/><text x="{x}" y="{y}" dx="4" dy="-4">'
                         f"{step.best}</text>")  # fmt: skip
        leader = step.best
    return "".join([*parts, "</svg>"])


def fragment(found: Explanation) -> str:
    """For a notebook, and the body of the page."""
    rows = []
    for lead, trial in tree(found.trials):
        told = "\n\n".join(
            "\n".join([f"{name}: {state.instructions}", *(str(dict(demo)) for demo in state.demos)])
            for voice in trial.candidate.voices
            for name, state in voice.predictors.items()
        )
        told += "".join(f"\n\n{name} = {value}" for name, value in trial.candidate.knobs.items())
        score = f"{100 * trial.mean:.1f} on {len(trial.scores)}" if trial.met else "–"
        cells = [
            f"{trial.number} {html.escape(trial.origin)}",
            score,
            f"{trial.cost.calls:,}",
            f"{trial.cost.tokens:,}",
        ]
        others = ", ".join(map(str, trial.parents[1:]))
        became = html.escape(fate(trial, found)) + (f" (also of {others})" if others else "")
        rows.append(
            f'<tr><td style="text-align:left;padding-left:{len(lead) * 0.5}em">{cells[0]}</td>'
            + "".join(f"<td>{cell}</td>" for cell in cells[1:])
            + f'<td style="text-align:left">{became}<details><summary>prompt</summary><pre>{html.escape(told)}</pre>'
            "</details></td></tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in ("trial", "score", "calls", "tokens", "what became of it"))
    won = "".join(f"<li>{html.escape(said)}</li>" for said in outcomes(found))
    bought = "".join(
        "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        for tag, cells in zip(["th", *["td"] * len(found.proposers)], costs(found), strict=True)
    )
    return (
        f"<p><b>{html.escape(found.name)}</b>: {html.escape(found.verdict)}</p>"
        + (svg(found.course) if found.course else "")
        + (found.front._repr_html_() if found.front is not None else "")
        + f"<p>{html.escape(chosen(found))}</p><ul>{won}</ul><table><tr>{head}</tr>{''.join(rows)}</table>"
        + (f"<table>{bought}</table>" if found.proposers else "")
        + "".join(f"<p>{html.escape(said)}</p>" for said in blamed(found))
        + (f"<p>ended: {html.escape(found.ending)}</p>" if found.ending else "")
    )


def page(found: Explanation) -> str:
    """A page of its own."""
    style = "body{font:14px sans-serif;max-width:72em;margin:2em auto;padding:0 1em}td,th{padding:2px 8px;text-align:right;vertical-align:top}pre{white-space:pre-wrap}"  # noqa: E501
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(found.name)}</title>'
        f"<style>{style}</style><body>{fragment(found)}</body></html>\n"
    )


def _range(course: Sequence[Step]) -> tuple[float, float]:
    low, high = min(step.mean for step in course), max(step.mean for step in course)
    return (low, high) if high > low else (max(0.0, low - 0.005), min(1.0, high + 0.005))


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more

"""A front as text for the terminal, and as a table with a picture that asks the network for nothing."""

from __future__ import annotations

import html

from .front import Front, Point, signed
from .objective import OTHERS, SCORE

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 560, 240, 48, 24, 44, 14
HEADS = {"cost": "$/1000", "latency": "ms", "prompt_tokens": "tokens in"}
"""How the columns of the objectives but the score are headed."""


def text(front: Front) -> str:
    """For the terminal: a line for each point."""
    lines = [["trial", "score", "gain", *(HEADS[name] for name in front.names[1:])]]
    lines += [[str(point.trial), *_cells(front, point)] for point in front]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*table, said(front)])


def said(front: Front) -> str:
    """What the values rest on."""
    if front.n:
        where = f"on {front.n} dev rows kept apart from selection; the intervals of the gains hold together"
    else:
        where = "on the rows that chose, which flatters: neither budget nor dev rows were left to confirm them"
    return f"hypervolume {front.hypervolume:.3f}; {where}"


def fragment(front: Front) -> str:
    """A table and a picture, for notebooks and pages."""
    head = "".join(f"<th>{cell}</th>" for cell in ("trial", "score", "gain", *(HEADS[n] for n in front.names[1:])))
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in (str(point.trial), *_cells(front, point)))}</tr>"
        for point in front
    )
    pictures = "".join(svg(front, name) for name in front.names[1:])
    return f"{pictures}<table><tr>{head}</tr>{rows}</table><p>{html.escape(said(front))}</p>"


def svg(front: Front, name: str) -> str:
    """Score against another objective: a dot for each point with its interval, and the staircase of what is reached."""
    points = sorted(front, key=lambda point: point.values[name])
    most = max(point.values[name] for point in points) or 1.0
    low, high = min(point.score.low for point in points), max(point.score.high for point in points)
    low, high = (low, high) if high > low else (low - 0.005, high + 0.005)

    def x(value: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * value / most:.1f}"

    def y(score: float) -> str:
        return f"{TOP + (HEIGHT - BOTTOM - TOP) * (high - score) / (high - low):.1f}"

    stairs, best = [], low
    for point in points:
        stairs.append(f"{x(point.values[name])},{y(best)}")
        best = max(best, point.values[SCORE])
        stairs.append(f"{x(point.values[name])},{y(best)}")
    stairs.append(f"{x(most)},{y(best)}")
    marks = "".join(
        f'<line x1="{x(p.values[name])}" x2="{x(p.values[name])}" y1="{y(p.score.low)}" y2="{y(p.score.high)}" '
        f'stroke="#3b6fb6" stroke-opacity="0.4"/><circle cx="{x(p.values[name])}" cy="{y(p.values[SCORE])}" r="3.5" '
        f'fill="#c05a1e"/><text x="{x(p.values[name])}" y="{y(p.values[SCORE])}" dx="5" dy="-5">{p.trial}</text>'
        for p in points
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="currentColor"><title>score against {name}</title>'
        f'<polyline fill="none" stroke="currentColor" stroke-opacity="0.35" points="{x(0)},{y(high)} {x(0)},{y(low)} '
        f'{x(most)},{y(low)}"/>'
        + "".join(f'<text x="{LEFT - 5}" y="{y(v)}" text-anchor="end">{100 * v:.1f}</text>' for v in (low, high))
        + f'<text x="{x(most)}" y="{HEIGHT - 28}" text-anchor="end">{_shown(name, most)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 8}">score, against {OTHERS[name]} ({HEADS[name]})</text>'
        f'<polyline fill="none" stroke="#3b6fb6" stroke-width="1.5" points="{" ".join(stairs)}"/>{marks}</svg>'
    )


def _cells(front: Front, point: Point) -> list[str]:
    gain = "–" if point.gain is None else signed(point.gain)
    return [str(point.score), gain, *(_shown(name, point.values[name]) for name in front.names[1:])]


def _shown(name: str, value: float) -> str:
    return f"{value * {'cost': 1000, 'latency': 1000}.get(name, 1):,.4g}"

"""Lines and points on two axes, and intervals beneath one another, as SVG files that anything can show."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

COLOURS = ("#1b6ca8", "#c1440e", "#3a7d44", "#8e5ea2", "#b58900", "#555555", "#d33682")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 340, 60, 46, 34, 170
NAMES, ROW, SHORT = 210, 22, 110
"""Pixels of names and of a row in a picture of intervals, and of the numbers at its right."""
Point = tuple[float, float]
Range = tuple[float, float, float]
"""A value, and the least and most that it may be."""


def chart(
    path: Path,
    title: str,
    axes: tuple[str, str],
    lines: Mapping[str, Sequence[Point]],
    *,
    marks: Mapping[str, Point] | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    log: bool = False,
) -> None:
    """Write a chart.

    Args:
        lines: by name, points from left to right; a point outside the bounds is left out.
        marks: by name, single points, shown large.
        bounds: least and most of x, least and most of y; those of the points by default.
        log: whether the x axis is logarithmic.
    """
    marks = marks or {}
    points = [p for line in lines.values() for p in line] + list(marks.values())
    x0, x1, y0, y1 = bounds or (
        min(p[0] for p in points), max(p[0] for p in points), min(p[1] for p in points), max(p[1] for p in points)
    )  # fmt: skip
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)

    def along(x: float) -> float:
        return math.log10(x) if log else x

    def place(point: Point) -> Point:
        x = LEFT + (along(point[0]) - along(x0)) / (along(x1) - along(x0)) * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - (point[1] - y0) / (y1 - y0) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">{html.escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(axes[0])}</text>',
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">'
        f"{html.escape(axes[1])}</text>",
    ]
    for y in ticks(y0, y1):
        py = place((x0, y))[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:,g}</text>')
    for x in decades(x0, x1) if log else ticks(x0, x1):
        px = place((x, y0))[0]
        parts.append(f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:,g}</text>')
    for index, (name, line) in enumerate([*lines.items(), *((n, [p]) for n, p in marks.items())]):
        colour = COLOURS[index % len(COLOURS)]
        shown = [place(p) for p in line if x0 <= p[0] <= x1 and y0 <= p[1] <= y1]
        path_of = " ".join(f"{x:.1f},{y:.1f}" for x, y in shown)
        if name not in marks:
            parts.append(f'<polyline points="{path_of}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        size = 5 if name in marks else 2.5
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>' for x, y in shown]
        y = TOP + 14 * index
        parts.append(f'<circle cx="{WIDTH - RIGHT + 14}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 24}" y="{y + 4}">{html.escape(name)}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def ranges(path: Path, title: str, axis: str, rows: Mapping[str, Range], *, asked: Sequence[float] = (0.0,)) -> None:
    """Write a picture of values with their intervals, one beneath the other.

    Args:
        rows: by name, from top to bottom.
        asked: values to compare with, shown as dashed lines.
    """
    low = min(*asked, *(row[1] for row in rows.values()))
    high = max(*asked, *(row[2] for row in rows.values()))
    low, high = low - 0.04 * (high - low or 1), high + 0.04 * (high - low or 1)
    foot, left, right = TOP + ROW * len(rows), NAMES, WIDTH - SHORT

    def along(x: float) -> float:
        return left + (x - low) / (high - low) * (right - left)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {foot + BOTTOM}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{foot + BOTTOM}" fill="white"/>',
        f'<text x="8" y="18" font-size="13">{html.escape(title)}</text>',
        f'<text x="{(left + right) / 2}" y="{foot + BOTTOM - 8}" text-anchor="middle">{html.escape(axis)}</text>',
    ]
    for x in ticks(low, high):
        parts.append(f'<line x1="{along(x):.1f}" x2="{along(x):.1f}" y1="{TOP}" y2="{foot}" stroke="#ddd"/>')
        parts.append(f'<text x="{along(x):.1f}" y="{foot + 16}" text-anchor="middle">{x:,g}</text>')
    for x in asked:
        parts.append(
            f'<line x1="{along(x):.1f}" x2="{along(x):.1f}" y1="{TOP}" y2="{foot}" stroke="#555" '
            'stroke-dasharray="4 3"/>'
        )
    for place, (name, (value, least, most)) in enumerate(rows.items()):
        y, said = TOP + ROW * (place + 0.5), f" [{least:.3g}, {most:.3g}]" if least < most else ""
        parts += [
            f'<text x="8" y="{y + 4}">{html.escape(name)}</text>',
            f'<line x1="{along(least):.1f}" x2="{along(most):.1f}" y1="{y}" y2="{y}" stroke="{COLOURS[0]}" '
            'stroke-width="2"/>',
            f'<circle cx="{along(value):.1f}" cy="{y}" r="4" fill="{COLOURS[0]}"/>',
            f'<text x="{right + 8}" y="{y + 4}">{value:.3g}{said}</text>',
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def in_points(interval: Mapping[str, float]) -> Range:
    """A difference or share and its interval, of a hundred."""
    return (100 * interval["value"], 100 * interval["low"], 100 * interval["high"])


def median_of(values: Sequence[float]) -> Range:
    """Median, least and most of repeated measurements."""
    return (statistics.median(values), min(values), max(values))


def ticks(low: float, high: float) -> list[float]:
    """Some five round numbers in a range."""
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = min((times * unit for times in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / rough)))
    return [round(n * step, 10) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 3, 10, 30 and so on in a range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [x for power in powers for x in (10.0**power, 3 * 10.0**power) if low * 0.999 <= x <= high * 1.001]

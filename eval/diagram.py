"""A reliability diagram: what was stated against the share that is right, with intervals, and how many answers."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .statistics.calibration import Calibration

SIDE, LEFT, TOP, COUNTS, GAP, BOTTOM, RIGHT = 300, 58, 34, 60, 12, 40, 14
"""In pixels: the square of the diagram, its margins, and the bars of counts below."""
INK, BLUE, PALE = "#222", "#3b6fb6", "#b9c9e0"


def svg(found: Calibration, title: str) -> str:
    """The diagram as an SVG on white, readable in a page, a notebook, and as a file.

    A point on the dashed line is right as often as stated; one below it is overconfident. A bar through a point is the
    interval of the share that is right.
    """
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + GAP + COUNTS + BOTTOM
    floor, most = TOP + SIDE + GAP + COUNTS, int(found.count.max())
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="11" fill="{INK}">',
        f"<title>{escape(title)}; calibration error {found.ece}, {found.n} answers</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="14" font-size="12">{escape(_cut(title))}</text>',
        f'<text x="{LEFT}" y="28" fill-opacity="0.7">calibration error {found.ece}, n={found.n:,}</text>',
        f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{INK}" stroke-opacity="0.35"/>',
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="{INK}" stroke-opacity="0.5" '
        'stroke-dasharray="4 3"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        body.append(f'<text x="{LEFT - 6}" y="{float(_y(tick)) + 4:.1f}" text-anchor="end">{100 * tick:g}</text>')
        body.append(f'<text x="{_x(tick)}" y="{floor + 14}" text-anchor="middle">{100 * tick:g}</text>')
    for f, o, low, high, n in zip(found.confidence, found.accuracy, found.low, found.high, found.count, strict=True):
        tall = (COUNTS - 12) * n / most
        told = f"stated {100 * f:.1f}, right {100 * o:.1f} [{100 * low:.1f}, {100 * high:.1f}], {n} answers"
        body += [
            f"<g><title>{told}</title>",
            f'<rect x="{float(_x(f)) - 5:.1f}" y="{floor - tall:.1f}" width="10" height="{tall:.1f}" fill="{PALE}"/>',
            f'<text x="{_x(f)}" y="{floor - tall - 3:.1f}" font-size="9" text-anchor="middle">{n}</text>',
            f'<line x1="{_x(f)}" y1="{_y(low)}" x2="{_x(f)}" y2="{_y(high)}" stroke="{BLUE}" stroke-width="2"/>',
            f'<circle cx="{_x(f)}" cy="{_y(o)}" r="4" fill="{BLUE}"/></g>',
        ]
    return "".join(
        [
            *body,
            f'<text x="{LEFT + SIDE / 2}" y="{floor + 30}" text-anchor="middle">stated confidence, %</text>',
            f'<text transform="translate(14 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">right, %</text>',
            f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">answers</text></svg>',
        ]
    )


def _x(share: float) -> str:
    return f"{LEFT + SIDE * share:.1f}"


def _y(share: float) -> str:
    return f"{TOP + SIDE * (1 - share):.1f}"


def _cut(title: str) -> str:
    return title if len(title) <= 48 else title[:47] + "…"

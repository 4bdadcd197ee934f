"""A training's course as a picture: loss by step, smoothed, and the loss on rows kept apart."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM = 420, 180, 44, 24


def svg(log: Sequence[dict[str, float]], title: str = "") -> str:
    """An SVG of a log's ``loss`` and, where it was looked at, ``dev``; colours follow the page's text."""
    loss = _smooth([line["loss"] for line in log])
    dev = [(place, line["dev"]) for place, line in enumerate(log) if "dev" in line]
    values = [*loss, *(value for _, value in dev)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def at(place: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - 8) * place / max(1, len(log) - 1)
        y = 20 + (HEIGHT - BOTTOM - 20) * (high - value) / span
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        'font-family="sans-serif" font-size="11" fill="currentColor">',
        f"<title>{_safe(title)}: loss by step</title>",
        f'<text x="{LEFT}" y="12">{_safe(title)}</text>',
        f'<polyline fill="none" stroke="currentColor" stroke-opacity="0.35" points="{at(0, high)} {at(0, low)} '
        f'{at(len(log) - 1, low)}"/>',
        *(f'<text x="{LEFT - 4}" y="{at(0, v).split(",")[1]}" text-anchor="end">{v:.3g}</text>' for v in (low, high)),
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">{len(log):,} steps</text>',
        f'<polyline fill="none" stroke="#3b6fb6" stroke-width="1.5" points="{" ".join(map(at, *_xy(loss)))}"/>',
        f'<text x="{LEFT + 60}" y="{HEIGHT - 6}" fill="#3b6fb6">training</text>',
    ]
    if dev:
        points = " ".join(at(place, value) for place, value in dev)
        parts.append(f'<polyline fill="none" stroke="#c05a1e" stroke-width="1.5" points="{points}"/>')
        parts += [
            f'<circle cx="{x}" cy="{y}" r="2.5" fill="#c05a1e"/>' for x, y in (p.split(",") for p in points.split())
        ]
        parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}" fill="#c05a1e">kept apart</text>')
    return "".join([*parts, "</svg>"])


def _xy(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    return range(len(values)), values


def _smooth(values: Sequence[float]) -> list[float]:
    """Means over a fiftieth of the steps."""
    width = max(1, len(values) // 50)
    return [sum(part) / len(part) for n in range(len(values)) if (part := values[max(0, n - width + 1) : n + 1])]


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")

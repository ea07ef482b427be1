"""Two small plots as inline SVG, for reports that need no plotting library and no network."""

from __future__ import annotations

import html
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 260
LEFT, BOTTOM, TOP, RIGHT = 70, 45, 20, 15


def bars(labels: Sequence[str], values: Sequence[int], *, across: str, up: str) -> str:
    """Return a bar chart; each bar has its number above it."""
    most = max([*values, 1])
    step = (WIDTH - LEFT - RIGHT) / len(values)
    parts = []
    for at, (label, value) in enumerate(zip(labels, values, strict=True)):
        tall = (HEIGHT - BOTTOM - TOP) * value / most
        x, y = LEFT + at * step, HEIGHT - BOTTOM - tall
        parts.append(f"<rect x='{x + 4:.1f}' y='{y:.1f}' width='{step - 8:.1f}' height='{tall:.1f}' fill='#456'/>")
        parts.append(_text(x + step / 2, y - 4, f"{value:,}"))
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 15, label))
    return _frame([*parts, *_axes(across, up)], f"{up} by {across}")


def line(xs: Sequence[int], shares: Sequence[float], *, across: str, up: str, mark: int) -> str:
    """Return shares (0 to 1) over whole numbers as a line; `mark` is shown by an upright one."""
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
    most = max([*shares, 0.01])

    def place(x: float, share: float) -> tuple[float, float]:
        return LEFT + wide * (x - xs[0]) / max(1, xs[-1] - xs[0]), HEIGHT - BOTTOM - tall * share / most

    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(x, share) for x, share in zip(xs, shares, strict=True)))
    parts = [f"<polyline points='{points}' fill='none' stroke='#456' stroke-width='2'/>"]
    for share in (0, most / 2, most):
        parts.append(_text(LEFT - 6, place(xs[0], share)[1] + 4, f"{share:.1%}", anchor="end"))
    for x in (xs[0], *(x for x in xs if x % 10 == 0)):
        parts.append(_text(place(x, 0)[0], HEIGHT - BOTTOM + 15, str(x)))
    if xs[0] <= mark <= xs[-1]:
        at = place(mark, 0)[0]
        parts.append(
            f"<line x1='{at:.1f}' y1='{TOP}' x2='{at:.1f}' y2='{HEIGHT - BOTTOM}' stroke='#a33' stroke-dasharray='4'/>"
        )
        parts.append(_text(at + 4, TOP + 10, f"{across} = {mark}", anchor="start"))
    return _frame([*parts, *_axes(across, up)], f"{up} by {across}")


def _axes(across: str, up: str) -> list[str]:
    base = HEIGHT - BOTTOM
    return [
        f"<path d='M{LEFT} {TOP} V{base} H{WIDTH - RIGHT}' fill='none' stroke='#111'/>",
        _text((WIDTH + LEFT) / 2, HEIGHT - 8, across),
        f"<g transform='rotate(-90)'>{_text(-(base + TOP) / 2, 14, up)}</g>",
    ]


def _text(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='12' text-anchor='{anchor}'>{html.escape(text)}</text>"


def _frame(parts: Sequence[str], title: str) -> str:
    body = "".join(parts)
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' width='{WIDTH}'><title>{html.escape(title)}</title>{body}</svg>"

"""Bars, as SVG written by hand: no library earns its place for two pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#4878a8", "#e49444", "#6a9f58", "#a87cc0", "#b0b0b0", "#d1605e", "#85b6b2")
_LEFT, _WIDTH, _STEP, _BAR, _LEGEND = 230, 460, 34, 20, 105


def bars(title: str, unit: str, values: Mapping[str, Mapping[str, float]]) -> str:
    """Draw a horizontal bar for each name, in as many parts as it has.

    Args:
        title: What is shown.
        unit: Written behind each sum.
        values: The parts of each bar, by their names, by its name.
    """
    most = max(sum(parts.values()) for parts in values.values())
    kinds: Sequence[str] = list(next(iter(values.values())))
    height = 70 + _STEP * len(values)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}">',
        "<style>text { font: 13px sans-serif }</style>",
        f'<rect width="800" height="{height}" fill="white"/>',
        f'<text x="10" y="22">{escape(title)}</text>',
    ]
    for number, kind in enumerate(kinds if len(kinds) > 1 else ()):
        at = _LEFT - 60 + number * _LEGEND
        lines.append(f'<rect x="{at}" y="34" width="12" height="12" fill="{_COLOURS[number]}"/>')
        lines.append(f'<text x="{at + 17}" y="45">{escape(kind)}</text>')
    for row, (name, parts) in enumerate(values.items()):
        y, x = 58 + row * _STEP, float(_LEFT)
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        for colour, value in zip(_COLOURS[: len(parts)], parts.values(), strict=True):
            width = value / most * _WIDTH
            lines.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>'
            )
            x += width
        total = sum(parts.values())
        lines.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{total:.2f} {escape(unit)}</text>')
    return "\n".join([*lines, "</svg>", ""])

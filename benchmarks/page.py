"""`docs/performance.md`: the tables in it are the bench's, the words around them are not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import plots
from benchmarks.measure import Section

_DOCS = Path(__file__).parent.parent / "docs"


def write(sections: Mapping[str, Section]) -> None:
    """Put the tables between their marks, and draw the pictures."""
    page = _DOCS / "performance.md"
    text = page.read_text()
    for name, section in sections.items():
        tables = "\n\n".join(f"**{table.title}**\n\n{table}" for table in section.tables)
        text = re.sub(
            f"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda found, tables=tables: f"{found[1]}\n{tables}\n\n{found[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    page.write_text(text)
    for name, picture in _pictures(sections):
        (_DOCS / name).write_text(picture)


def _pictures(sections: Mapping[str, Section]) -> Iterable[tuple[str, str]]:
    money = sections["money"].data
    yield "cost.svg", plots.bars("A million messages", "$", money["million"])
    handlers = sections["cold_start"].data["handlers"]
    floor = {f"{name}, floor": {"ms": each["cpuMs"]["floor"]["median"]}
             for name, each in handlers.items()}  # fmt: skip
    own = {name: {"ms": each["cpuMs"]["handler"]["median"]} for name, each in handlers.items()}
    bare = {f"{name}, no bytecode": {"ms": each["cpuMs"]["handler, no bytecode"]["median"]}
            for name, each in handlers.items()}  # fmt: skip
    rows = {**floor, **own, **bare}
    ordered = {name: rows[name] for name in sorted(rows)}
    yield "cold-start.svg", plots.bars("Cold start, CPU", "ms", ordered)

"""`docs/performance.md`: the tables in it are the bench's, the words around them are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks import plots
from benchmarks.measure import Section

_DOCS = Path(__file__).parent.parent / "docs"


def write(sections: Mapping[str, Section], drawn: Mapping[str, str]) -> None:
    """Put the tables between their marks, and the pictures next to the page."""
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
    for name, picture in drawn.items():
        (_DOCS / name).write_text(picture)


def pictures(sections: Mapping[str, Section]) -> dict[str, str]:
    """Draw the pictures, by the names of their files."""
    # A file's bytes out would dwarf everything else.
    texts = {
        name: {service: dollars for service, dollars in bill.items() if service != "S3"}
        for name, bill in sections["money"].data["million"].items()
        if name.startswith("text")
    }
    handlers = sections["cold_start"].data["handlers"]
    floor = {f"{name}, floor": {"ms": each["cpuMs"]["floor"]["median"]}
             for name, each in handlers.items()}  # fmt: skip
    own = {name: {"ms": each["cpuMs"]["handler"]["median"]} for name, each in handlers.items()}
    bare = {f"{name}, no bytecode": {"ms": each["cpuMs"]["handler, no bytecode"]["median"]}
            for name, each in handlers.items()}  # fmt: skip
    rows = {**floor, **own, **bare}
    ordered = {name: rows[name] for name in sorted(rows)}
    return {
        "cost.svg": plots.bars("A million messages", "$", texts),
        "cold-start.svg": plots.bars("Cold start, CPU", "ms", ordered),
    }

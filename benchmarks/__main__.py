"""Measure everything, print it, keep it as JSON.

``python -m benchmarks``, or ``make bench``.
"""

import argparse
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import calls, cold_start, fan_out, flatness, money, page, runner, warm
from benchmarks.measure import Section

_RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go")
    options = parser.parse_args()
    began = time.perf_counter()
    sections: dict[str, Section] = {}
    for measure in (cold_start, calls, flatness, fan_out, warm, runner):
        print(f"{measure.__name__.rpartition('.')[2]} ...", file=sys.stderr, flush=True)
        _keep(sections, measure.run(quick=options.quick))
    data = {name: section.data for name, section in sections.items()}
    _keep(sections, money.run(data["calls"], data["warm"], data["cold_start"]))
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "quick": options.quick,
        "seconds": round(time.perf_counter() - began),
        **{name: section.data for name, section in sections.items()},
    }
    drawn = page.pictures(sections)
    if not options.quick:
        page.write(sections, drawn)
    if file := options.json or (None if options.quick else _RESULTS):
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 0


def _keep(sections: dict[str, Section], section: Section) -> None:
    sections[section.name] = section
    for table in section.tables:
        print(f"\n{table.title}\n\n{table}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""One message to many devices, where each push takes 50 ms."""

from __future__ import annotations

import time

from benchmarks.measure import Section, Table, interleaved, shown, spread
from benchmarks.measured_backend import measured_backend, text

PUSH_S = 0.05
_DEVICES = (1, 2, 4, 8, 16)


def run(*, quick: bool) -> Section:
    """Send to recipients with more and more devices."""
    with measured_backend() as measured:
        senders = {}
        for count in _DEVICES:
            (senders[count],) = measured.open(f"a{count}")
            measured.open(f"b{count}", count)

        def measure(count: int) -> float:
            began = time.perf_counter()
            ack = measured.backend.send(senders[count], text(f"a{count}#b{count}"))
            assert ack["delivered"] == count, ack  # noqa: S101
            return (time.perf_counter() - began) * 1000

        interleaved(2, _DEVICES, measure)  # the threads start
        measured.wire.push_delay_s = PUSH_S
        samples = interleaved(3 if quick else 15, _DEVICES, measure)
    data = {str(count): spread(found) for count, found in samples.items()}
    rows = [[count, shown(found)] for count, found in data.items()]
    table = Table("One message, each push taking 50 ms", ["devices", "ms until the ack"], rows)
    return Section("fan_out", {"runs": data}, [table])

"""Invoke functions for records of streams and messages of queues, as Lambda's pollers do.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local.invocation_result import InvocationResult
from local.lambdas.event_filter import matches_any
from local.lambdas.functions import Functions
from local.lambdas.invocations import InvokeApi
from local.lambdas.readers import QueueReader, Record, StreamReader, sns_event
from local.template.model import EventSource

# Lambda reads a stream about four times a second:
# https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
_POLL_S = 0.25
# How long Lambda waits before it tries a batch of a stream again is not documented.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0

_FAILURES = (BotoCoreError, ClientError, KeyError)

type Report = Callable[[str], None]


class Reader(Protocol):
    """Reads records of a source. Its methods block: they run in a thread."""

    def read(self, limit: int) -> list[Record]:
        """Return the next records."""
        ...

    def finish(self, records: Sequence[Record]) -> None:
        """Mark records as done."""
        ...


class EventSources:
    """The event sources of a stack, each with a task that reads it.

    Args:
        functions: The functions.
        invoke_api: Invokes them asynchronously, for topics.
        report: Called with a line for each batch that is given up.

    """

    def __init__(self, functions: Functions, invoke_api: InvokeApi, report: Report) -> None:
        self._functions = functions
        self._invoke_api = invoke_api
        self._report = report
        self._tasks: dict[EventSource, asyncio.Task[None]] = {}

    async def use(self, sources: tuple[EventSource, ...], endpoint: str, region: str) -> None:
        """Read these sources from now on: nothing that is written later is missed.

        A source that is read already is read on from where it is.
        """
        await self._stop(self._tasks.keys() - set(sources))
        for source in sources:
            if source in self._tasks:
                continue
            try:
                reader = await asyncio.to_thread(_reader, source, endpoint, region)
            except _FAILURES as error:
                self._report(f"{source.function}: cannot read {source.name}: {error}")
                continue
            self._tasks[source] = asyncio.create_task(self._run(source, reader))

    async def close(self) -> None:
        """Stop reading."""
        await self._stop(set(self._tasks))

    async def _stop(self, sources: set[EventSource]) -> None:
        tasks = [self._tasks.pop(source) for source in sources]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, source: EventSource, reader: Reader) -> None:
        while True:
            try:
                await self._read(source, reader)
            except _FAILURES as error:
                self._report(f"{source.function}: cannot read {source.name}: {error}")
                await asyncio.sleep(_FIRST_PAUSE_S)

    async def _read(self, source: EventSource, reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        batch: list[Record] = []
        ends_at = 0.0
        while True:
            found = await asyncio.to_thread(reader.read, source.batch_size - len(batch))
            chosen = [record for record in found if _is_chosen(record, source)]
            if len(chosen) < len(found):  # Lambda removes what no filter matches
                await asyncio.to_thread(
                    reader.finish, [record for record in found if record not in chosen]
                )
            if chosen and not batch:
                ends_at = loop.time() + source.window_s
            batch += chosen
            if batch and (len(batch) >= source.batch_size or loop.time() >= ends_at):
                await self._handle(source, reader, batch)
                batch = []
            elif not found:
                await asyncio.sleep(_POLL_S)

    async def _handle(self, source: EventSource, reader: Reader, batch: list[Record]) -> None:
        if source.kind == "dynamodb":
            await self._invoke_for_stream(source, batch)
        elif source.kind == "sns":
            event = json.dumps(sns_event(batch[0], source)).encode()
            await self._invoke_api.invoke(source.function, event, "Event")
            await asyncio.to_thread(reader.finish, batch)
        else:
            # What fails stays in the queue, and becomes visible again after a time.
            failed = await self._invoke(source, batch)
            done = [record for record in batch if record["messageId"] not in failed]
            await asyncio.to_thread(reader.finish, done)

    async def _invoke_for_stream(self, source: EventSource, batch: list[Record]) -> None:
        """Invoke the function until it succeeds: the stream waits for it, as on AWS."""
        batches, pause = [(batch, 0)], _FIRST_PAUSE_S
        while batches:
            records, attempt = batches.pop(0)
            failed = await self._invoke(source, records)
            first = next(
                (number for number, each in enumerate(records) if _sequence(each) in failed),
                None,
            )
            if first is None:
                pause = _FIRST_PAUSE_S
                continue
            if first:  # a checkpoint: the records before it are done
                batches.insert(0, (records[first:], attempt))
                continue
            if source.max_retries is not None and attempt >= source.max_retries:
                self._report(
                    f"{source.function}: gave up {len(records)} records of the stream of"
                    f" {source.name} after {attempt} retries"
                )
                continue
            if source.bisects and len(records) > 1:
                half = len(records) // 2
                parts = [(records[:half], attempt + 1), (records[half:], attempt + 1)]
            else:
                parts = [(records, attempt + 1)]
            batches[:0] = parts
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _invoke(self, source: EventSource, records: list[Record]) -> set[str]:
        """Invoke the function; return the ids of the records that failed."""
        every = {_identifier(record) for record in records}
        if source.function not in self._functions:
            return every
        result = await self._functions.invoke(source.function, {"Records": records})
        if result.is_error:
            self._report(f"{source.function} failed with records of {source.name}: {result.error}")
            return every
        return _failures(result, every) if source.reports_failures else set()


def _reader(source: EventSource, endpoint: str, region: str) -> Reader:
    kind = StreamReader if source.kind == "dynamodb" else QueueReader
    return kind(source, endpoint, region)


def _failures(result: InvocationResult, every: set[str]) -> set[str]:
    """Return the failures that a function reports.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    payload = result.payload if isinstance(result.payload, dict) else {}
    failures = payload.get("batchItemFailures") or []
    try:
        named = {str(failure["itemIdentifier"]) for failure in failures}
    except (KeyError, TypeError):
        return every
    return every if named - every else named


def _is_chosen(record: Record, source: EventSource) -> bool:
    if source.kind != "sqs":
        return matches_any(record, source.filters)
    body: Any = record["body"]
    with contextlib.suppress(ValueError):
        body = json.loads(body)
    return matches_any({**record, "body": body}, source.filters)


def _identifier(record: Record) -> str:
    return str(record["messageId"]) if "messageId" in record else _sequence(record)


def _sequence(record: Record) -> str:
    return str(record["dynamodb"]["SequenceNumber"])

"""Watch the template and the code of the functions for edits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from watchfiles import awatch

from local.template.model import Function

type FunctionsByName = Mapping[str, Function]


def affected_functions(functions: FunctionsByName, changed: Iterable[Path]) -> set[str]:
    """Return the names of the functions whose code or layers hold a changed file."""
    files = list(changed)
    return {
        name
        for name, function in functions.items()
        for root in (function.code, *function.layers)
        if any(file.is_relative_to(root) for file in files)
    }


class Watcher:
    """Watches a template and the code of its functions.

    Args:
        template: The template.
        functions: Returns the functions of the current template.
        on_template: Called when the template has changed.
        on_code: Called with the names of functions whose code has changed.

    """

    def __init__(
        self,
        template: Path,
        functions: Callable[[], FunctionsByName],
        on_template: Callable[[], Awaitable[None]],
        on_code: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._template = template.resolve()
        self._functions = functions
        self._on_template = on_template
        self._on_code = on_code
        self._lock = asyncio.Lock()
        self._template_changed = asyncio.Event()
        self._starting = 2
        self._started = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch while the block runs. No edit after the start of the block is missed."""
        watching = [
            asyncio.create_task(self._watch_template()),
            asyncio.create_task(self._watch_code()),
        ]
        await self._started.wait()
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _note_start(self) -> None:
        """Call this just before a task waits for changes; its watch is set up then."""

        def is_set_up() -> None:
            self._starting -= 1
            if self._starting == 0:
                self._started.set()

        asyncio.get_running_loop().call_soon(is_set_up)

    async def _watch_template(self) -> None:
        self._note_start()
        # Watch its folder, since many editors replace the file; but no folders in it.
        async for _ in awatch(
            self._template.parent,
            watch_filter=lambda _, path: Path(path) == self._template,
            recursive=False,
        ):
            async with self._lock:
                await self._on_template()
            self._template_changed.set()  # the code may be in other folders now

    async def _watch_code(self) -> None:
        self._note_start()
        while True:
            self._template_changed.clear()
            functions = self._functions().values()
            roots = {root for each in functions for root in (each.code, *each.layers)}
            existing = [root for root in roots if root.is_dir()]
            async for batch in awatch(*existing, stop_event=self._template_changed):
                names = affected_functions(self._functions(), (Path(path) for _, path in batch))
                async with self._lock:
                    await self._on_code(names)

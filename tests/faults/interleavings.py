"""A search through every order in which the calls of several actors can be made.

An actor is a function that runs by itself: a handler, or something outside. A strand is an actor's
thread, or a thread that the actor started with `aws.in_parallel`. Strands share nothing except what
their calls read and change, so the results of a strand's calls say how far it has come.

No thread is needed for that. To find a strand's next call, it is run from its start in the test's
thread: the calls that were made return their results again, and the first one that was not made
stops the strand. The next call after given results is remembered, so most steps run nothing.

Two orders that left every strand with the same results, and the world the same, can continue in the
same ways. They lead to one state, and what follows from a state is searched once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self


class World(Protocol):
    """What the calls read and change."""

    def copy(self) -> Self:
        """Return a world that can be changed without changing this one."""
        ...

    def contents(self) -> object:
        """Return everything that a call can see of it; its `repr` is compared."""
        ...

    def now(self) -> float:
        """Return what its clock shows."""
        ...


@dataclass(frozen=True, slots=True)
class Call[W: World]:
    """What a strand is about to do.

    Attributes:
        may_begin: Returns whether it can be done now.
        is_local: No other strand can notice it, so it is done at once. That leaves fewer orders.
    """

    label: str
    perform: Callable[[State[W]], object]
    may_begin: Callable[[State[W]], bool]
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a strand ended."""

    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Strand[W: World]:
    """A strand, as far as it has come.

    Attributes:
        log: The labels and the results of the calls that it made.
        history: A number for the log.
    """

    name: str
    body: Callable[[], object]
    log: tuple[tuple[str, Ended], ...] = ()
    history: int = 0
    next_call: Call[W] | None = None
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class State[W: World]:
    """The world and the strands at one moment."""

    world: W
    strands: Mapping[str, Strand[W]]

    def enabled(self) -> Iterator[Strand[W]]:
        """Yield the strands whose next call can be made now."""
        for strand in self.strands.values():
            if strand.next_call and strand.next_call.may_begin(self):
                yield strand


@dataclass(frozen=True, slots=True)
class Order:
    """The steps that led to a state: the last one, and those before it."""

    step: str
    before: Order | None

    def __str__(self) -> str:
        steps: list[str] = []
        order: Order | None = self
        while order:
            steps.append(order.step)
            order = order.before
        return "\n".join(f"{n:3}. {step}" for n, step in enumerate(reversed(steps), 1))


@dataclass(frozen=True, slots=True)
class Explored:
    """How much was searched.

    Attributes:
        states: The number of different states.
        steps: The number of steps that lead from one of them to another.
        ends: The number of states in which nothing is left to do.
        orders: The number of complete orders: of ways to get from the first state to an end.
    """

    states: int
    steps: int
    ends: int
    orders: int


class Violation(AssertionError):
    """An order in which something is not as it should be."""


class _Paused(BaseException):
    """The strand has come to a call that it is not to make yet. No `except Exception` sees it."""


@dataclass(eq=False)
class Handle:
    """A strand, for the strand that started it; in place of a `Future`."""

    name: str
    ended: Ended | None = None

    def result(self) -> Any:
        assert self.ended, "took a result without waiting for it"
        if self.ended.error:
            raise self.ended.error
        return self.ended.result


class Explorer[W: World]:
    """Search every order; the fakes make their calls through it."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._known: dict[object, tuple[Strand[W], ...]] = {}
        # Of the strand that is being run.
        self._strand: Strand[W]
        self._now: float
        self._log: list[tuple[str, Ended]]
        self._replayed: int
        self._next_call: Call[W] | None
        self._started: list[Strand[W]]

    def explore(
        self,
        world: W,
        actors: Mapping[str, Callable[[], object]],
        check: Callable[[State[W]], None],
    ) -> Explored:
        """Search every order.

        Args:
            world: As it is at first.
            actors: What runs, by name.
            check: Raises an exception where the end of a complete order is not as it should be.

        Raises:
            Violation: The check raised, a strand did, a strand cannot go on, or an actor left a
                strand behind. Lists the steps that led there.
        """
        first = State[W](world, {})
        for name, body in actors.items():
            first = self._run(first, Strand(name, body))
        # All orders to one state have the same number of steps, which its strands' results show. So
        # the states after n steps are all known before the first state after n + 1 is needed.
        layer: dict[object, tuple[State[W], int, Order | None]] = {0: (first, 1, None)}
        states = steps = ends = orders = 0
        while layer:
            states += len(layer)
            following: dict[object, tuple[State[W], int, Order | None]] = {}
            for state, count, order in layer.values():
                is_end = True
                for strand in state.enabled():
                    is_end = False
                    steps += 1
                    after, step = self._advance(state, strand)
                    key = self._key(after)
                    if key in following:
                        after, others, known = following[key]
                        following[key] = (after, others + count, known)
                    else:
                        longer = Order(step, order)
                        _check_strands(after, longer)
                        following[key] = (after, count, longer)
                if is_end:
                    ends += 1
                    orders += count
                    _check_end(state, order, check)
            layer = following
        return Explored(states, steps, ends, orders)

    def call(
        self,
        label: str,
        perform: Callable[[W], object],
        may_begin: Callable[[W], bool] = lambda _: True,
    ) -> Any:
        """Make a call as one step of the strand that runs."""
        return self._call(
            Call(label, lambda state: perform(state.world), lambda state: may_begin(state.world))
        )

    def now(self) -> float:
        """Read the world's clock, as part of the step before."""
        if self._replayed == len(self._log):
            self._log.append(("clock", Ended(self._now)))
        now: float = self._replay("clock")
        return now

    def submit(self, body: Callable[[], object]) -> Handle:
        """Start a strand, in place of a `ThreadPoolExecutor`."""
        handle = Handle(f"{self._strand.name}/{len(self._started) + 1}")
        self._started.append(Strand(handle.name, body))
        return handle

    def wait(self, handles: Sequence[Handle]) -> None:
        """Wait for strands to end, in place of `concurrent.futures.wait`."""
        if not handles:
            return
        names = [handle.name for handle in handles]
        results = self._call(
            Call(
                "wait for its strands",
                lambda state: [state.strands[name].ended for name in names],
                lambda state: all(state.strands[name].ended for name in names),
                is_local=True,
            )
        )
        for handle, ended in zip(handles, results, strict=True):
            handle.ended = ended

    def _call(self, call: Call[W]) -> Any:
        if self._replayed == len(self._log):
            # A `finally` may bring the strand here again; its next call is the first one.
            self._next_call = self._next_call or call
            raise _Paused
        return self._replay(call.label)

    def _replay(self, label: str) -> Any:
        then, ended = self._log[self._replayed]
        assert then == label, f"{self._strand.name} does not do the same again: {then}, {label}"
        self._replayed += 1
        if ended.error:
            raise ended.error.with_traceback(None)
        return ended.result

    def _advance(self, state: State[W], strand: Strand[W]) -> tuple[State[W], str]:
        """Make the next call of a strand; return the state after it, and its description."""
        state, step = self._make_call(State(state.world.copy(), state.strands), strand)
        while local := next((each for each in state.enabled() if _is_local(each)), None):
            state, _ = self._make_call(state, local)
        return state, step

    def _make_call(self, state: State[W], strand: Strand[W]) -> tuple[State[W], str]:
        """Make the next call of a strand, which may change the world; run the strand to the next.

        Returns:
            The state after it, and its description.
        """
        call = strand.next_call
        assert call
        try:
            ended = Ended(call.perform(state))
        except Exception as error:  # noqa: BLE001 -- raised in the strand
            ended = Ended(error=error)
        state = self._run(state, self._with(strand, (call.label, ended)))
        raised = f" -> {type(ended.error).__name__}" if ended.error else ""
        return state, f"{strand.name}: {call.label}{raised}"

    def _run(self, state: State[W], strand: Strand[W]) -> State[W]:
        """Run a strand up to its next call, and those that it starts."""
        now = state.world.now()
        # What a strand does next depends on nothing else.
        key = (strand.name, strand.history, now)
        if key not in self._known:
            after, started = self._rerun(strand, now)
            self._known[key] = (after, *started)
        after, *started = self._known[key]
        state = State(state.world, {**state.strands, after.name: after})
        for each in started:
            if each.name not in state.strands:
                state = self._run(state, each)
        return state

    def _rerun(self, strand: Strand[W], now: float) -> tuple[Strand[W], list[Strand[W]]]:
        """Run a strand from its start to its next call; return the strands it started, too."""
        self._strand, self._now = strand, now
        self._log, self._replayed = list(strand.log), 0
        self._next_call, self._started = None, []
        ended = None
        try:
            ended = Ended(strand.body())
        except _Paused:
            pass
        except Exception as error:  # noqa: BLE001 -- a violation, see `_check_strands`
            ended = Ended(error=error)
        strand = self._with(strand, *self._log[len(strand.log) :])
        strand = Strand(
            strand.name, strand.body, strand.log, strand.history, self._next_call, ended
        )
        return strand, self._started

    def _with(self, strand: Strand[W], *added: tuple[str, Ended]) -> Strand[W]:
        """Add results to the log of a strand."""
        history = strand.history
        for entry in added:
            history = self._number((history, repr(entry)))
        return Strand(strand.name, strand.body, (*strand.log, *added), history)

    def _key(self, state: State[W]) -> object:
        histories = frozenset((each.name, each.history) for each in state.strands.values())
        return histories, self._number(repr(state.world.contents()))

    def _number(self, thing: object) -> int:
        return self._numbers.setdefault(thing, len(self._numbers) + 1)


def _is_local[W: World](strand: Strand[W]) -> bool:
    return strand.next_call is not None and strand.next_call.is_local


def _check_strands[W: World](state: State[W], order: Order) -> None:
    for strand in state.strands.values():
        if not strand.ended:
            continue
        for other in state.strands.values():
            # Lambda would freeze it, and thaw it in the middle of another invocation.
            if not other.ended and other.name.startswith(f"{strand.name}/"):
                raise Violation(f"{strand.name} left {other.name} behind, in this order:\n{order}")
        if error := strand.ended.error:
            raise Violation(f"{strand.name} raised {error!r}, in this order:\n{order}") from error


def _check_end[W: World](
    state: State[W], order: Order | None, check: Callable[[State[W]], None]
) -> None:
    try:
        for strand in state.strands.values():
            assert not strand.next_call, f"{strand.name} cannot go on: {strand.next_call.label}"
        check(state)
    except Exception as error:
        raise Violation(f"{error}, in this order:\n{order}") from error

"""How long an out-of-order core takes for a run of instructions, where all loads hit L1 and all jumps are foreseen.

The port bound of limits.py takes whatever is ready from anywhere. A core looks for it among the operations that its
schedulers hold, and these hold few: where they are full of operations that wait for each other, pipes stay idle.

The model
- Instructions are dispatched in order, so many a cycle, while the reorder buffer and the queue before the schedulers have
  room. General registers cost their slot and no more.
- Operations on vectors go in order through the queue to one of two schedulers, each with every other pipe, by whether their
  slot in the cycle's dispatch is even or odd. That is nowhere documented, but a Zen 3 took 1.6 times as long for FMAs and
  additions one and one in turn as for two and two.
  An operation that has no pipe in its half takes one of the other.
- Each pipe starts the oldest operation that is ready and that it can execute. A store goes once a cycle, and no FMA with it;
  the unit for divisions starts one every few cycles.
- Loads are ready so many cycles after dispatch, and where the stack was stored to, as many after that.
- Up to eight instructions a cycle retire, in order.
- Left out: how many loads a cycle, places on the stack that are found by an index, and what stores cost after they retire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isinf

RETIRED_A_CYCLE = 8


@dataclass(frozen=True)
class Schedulers:
    """Sizes of a core, in instructions or operations."""

    reorder_buffer: int
    queue: int
    scheduler: int
    load: int  # cycles


@dataclass(frozen=True)
class Step:
    """What an instruction is to the model."""

    pipes: tuple[str, ...]  # of each operation, those that can execute it; all of them one after the other on one
    latency: int
    reads: frozenset[str]  # vector registers, and places on the stack
    writes: str | None
    is_load: bool
    is_store: bool
    is_fma: bool
    is_division: bool

    @property
    def takes_pipe(self) -> bool:
        return bool(self.pipes) or self.is_store


def is_memory(place: str) -> bool:
    return "(" in place


def cycles(steps: Sequence[Step], core: Schedulers, width: int, division: float) -> int:
    """From the first dispatch to the last retirement, on a core of so many instructions a cycle, which starts a division each
    so many cycles.
    """
    return Run(steps, core, width, division).cycles()


class Run:
    def __init__(self, steps: Sequence[Step], core: Schedulers, width: int, division: float) -> None:
        self.steps, self.core, self.width, self.division = steps, core, width, division
        self.now = 0
        self.dispatched = self.retired = 0
        self.ready: list[float] = []  # when the result of a step is, infinite until it has started
        self.inputs: list[list[tuple[int, int]]] = []  # of a step: the steps it waits for, and how long after them
        self.earliest: list[int] = []  # when its load has come
        self.last_writes: dict[str, int] = {}
        self.queue: deque[tuple[int, int]] = deque()  # steps with their scheduler
        self.waiting: tuple[list[int], list[int]] = ([], [])
        self.moves: list[int] = []  # that take no pipe
        self.free_from = dict.fromkeys("0123", 0)
        self.divides_from = 0.0

    def cycles(self) -> int:
        while self.retired < len(self.steps):
            self.retire()
            self.start()
            self.schedule()
            self.dispatch()
            self.now += 1
        return self.now

    def retire(self) -> None:
        end = min(self.retired + RETIRED_A_CYCLE, self.dispatched)
        while self.retired < end and self.ready[self.retired] <= self.now:
            self.retired += 1

    def is_ready(self, i: int) -> bool:
        return self.has_inputs_at(i) <= self.now

    def has_inputs_at(self, i: int) -> float:
        return max([self.earliest[i], *(self.ready[j] + more for j, more in self.inputs[i])])

    def start(self) -> None:
        stored = fused = False
        started = set()
        for i, half in sorted((i, half) for half in (0, 1) for i in self.waiting[half]):
            step = self.steps[i]
            if not self.is_ready(i) or step.is_fma and stored or step.is_division and self.divides_from > self.now:
                continue
            if step.is_store:
                if stored or fused:
                    continue
                stored = True
            else:
                allowed = step.pipes[0]
                of_half = [pipe for pipe in allowed if int(pipe) % 2 == half] or allowed
                # The later ones first: FMAs need the others.
                pipe = next((p for p in reversed(of_half) if self.free_from[p] <= self.now), None)
                if pipe is None:
                    continue
                self.free_from[pipe] = self.now + len(step.pipes)
                fused |= step.is_fma
                if step.is_division:
                    self.divides_from = self.now + self.division
            self.ready[i] = self.now + step.latency
            started.add(i)
        for half in self.waiting:
            half[:] = [i for i in half if i not in started]
        for i in self.moves:
            self.ready[i] = self.has_inputs_at(i)
        self.moves = [i for i in self.moves if isinf(self.ready[i])]

    def schedule(self) -> None:
        while self.queue and len(self.waiting[self.queue[0][1]]) < self.core.scheduler:
            i, half = self.queue.popleft()
            self.waiting[half].append(i)

    def dispatch(self) -> None:
        for slot in range(self.width):
            if self.dispatched == len(self.steps) or self.dispatched - self.retired >= self.core.reorder_buffer:
                return
            i, step = self.dispatched, self.steps[self.dispatched]
            if step.takes_pipe and len(self.queue) >= self.core.queue:
                return
            self.ready.append(inf)
            self.earliest.append(self.now + self.core.load if step.is_load else self.now)
            written = ((read, self.last_writes[read]) for read in step.reads if read in self.last_writes)
            self.inputs.append([(j, self.core.load if is_memory(read) else 0) for read, j in written])
            if step.takes_pipe:
                self.queue.append((i, slot % 2))
            else:
                self.moves.append(i)
            if step.writes:
                self.last_writes[step.writes] = i
            self.dispatched += 1

# /// script
# requires-python = ">=3.11"
# ///
"""How near to the machine's limits is xent? Prints Markdown tables; x86-64 Linux.

    python3 benches/limits.py [--seconds 10] [--write]

Needs cargo, llvm-mca and llvm-objdump (`apt-get install llvm`), else the standard library. With --write the tables
go into the core's file in benches/results, in place of those between its two marker comments, or at its end.

Loops
- The harness, benches/peers/benches/limits.rs, runs an operation once between two breakpoints: on a row of 2048 elements;
  softmax and its loss on short rows too; softmax on a row beyond the caches, where its loss has the same loops. Every
  instruction of it is stepped over with ptrace, so what is looked at are the instructions that run, of the binary that
  is timed: ends of blocks of sums and all. That takes some minutes. softmax_loss_grad is SoftmaxCrossEntropy with class
  indices, sigmoid_loss_grad is SigmoidCrossEntropy.
- A pass is the stretch of time from the first to the last visit of a loop's head, with all that runs in between. Elements
  of an iteration are those of the table over the visits, rounded to a power of two, or to that many short rows. It is
  named after what its instructions do.
- The bound is what the busiest unit needs, in cycles per 16 elements, were all else free. llvm-mca's is its "block
  reciprocal throughput" of the instructions of the whole pass, for the likest CPU that LLVM 14 has a model of; of the
  first 50 000, where there are more. It is shown, but no share is made of it: znver3 is no bound, as a Zen 3 takes 11
  cycles for exp where it says 15, and skylake-avx512 is too low for operations of one pipe and of two (below).
- `schedulers` is how long the pass takes in scheduler.py, a model of what the core's schedulers can look for: no bound, but
  what is left to expect of the instructions in their order. Where its core is not known, there is none.
- `spill` are vector moves from and to the stack, `jump` conditional jumps, both per iteration: what a loop could do
  without.

The models of cores (CORES): pipes for vectors, each starts an operation a cycle.

                                            Zen 3       Zen 4       Zen 5       Golden Cove, 256    512
    multiplications, FMA                    0, 1        0, 1        0, 1        0, 1                0, 5
    add, subtract                           2, 3        2, 3        2, 3        1, 5                0, 5
    max, min, comparisons to a vector       2, 3        2, 3        2, 3        0, 1                0, 5
    comparisons of integers to a vector     any         1, 2        1, 2        0, 1
    shifts                                  1, 2        2, 3        2, 3        0, 1                0
    conversions                             2, 3        2, 3        2, 3        0, 1; to another    0, 5; to another
                                                                                width 5 too         width 5 too
    rounding to whole numbers               2, 3        2, 3        2, 3        0, 1 twice          0, 5 twice
    scalef                                              2, 3 twice  2, 3 twice  0, 1                0, 5
    fixupimm                                            0, 1        0, 1        0, 1                0, 5
    comparisons to a mask                               0, 1        0, 1        5                   5
    sign bits to a mask, logic of masks                 0, 1        0, 1        0                   0
    permutes                                1, 2        1, 2        1, 2        5; shufps 1, 5      5
      by indices, in halves                 0, 1        1, 2        1, 2        5                   5
      by indices, of all                    0, 1 twice  1, 2        1, 2        5                   5
      of quarters; of halves, broadcasts    0, 1 and    1, 2        1, 2        5                   5
                                            1, 2; 0
    moves to and from others                none        1, 2        1, 2        5                   5
    inserts from memory                     0           1, 2        1, 2        any                 0, 5
    blends by a vector's sign               0, 1        0, 1        0, 1        any, three times
    integer add, logic, blends by a mask    any         any         any         any                 0, 5
    moves between registers, zeros          none        none        none        none                none
    division                                0, 1 twice  0, 1 twice  0, 1 twice  0                   0 twice, 5
    division: cycles of its own unit        3           3, 512: 6   2.5         5                   10
    bits of a pipe, of a load               256         256         512         512
    loads a cycle                           2           2           2           2
    256-bit stores a cycle                  1           1           2           2
    instructions a cycle                    6           6           8           6

An operation on 512 bits takes a pipe of 256 twice. The bound is the largest of these, and over all sets of pipes:
operations that fit no other pipe, over the pipes of the set. Pipes, division, loads and stores were found by timing
each instruction alone and paired with others on a server core of each (Golden Cove: an Emerald Rapids). Other cores
of Intel are taken for Golden Cove; they were not timed. Logic of masks was timed on Golden Cove alone. On Zen 3, a
store also keeps both pipes from FMAs and from blends for a cycle, if they read three registers; results that come
straight from a pipe may not count, so that is not in the bound. llvm-mca's number is too low for loops that have
operations for one pipe and for two: it finds ten of pipe 0, ten of pipe 5 and twenty of both to take 10 cycles, not
20.

Times
- Nanoseconds are the least of many turns that all operations take with each other, cycles the median: what a cycle takes
  is found before and after each turn, by a chain of dependent additions, of which the faster counts.
- L1: three tables fit in it, and are long enough for every loop to settle. The operation's bound is the sum of its
  passes' by the model of the machine's core; where it is not known, the newest of its vendor, or Golden Cove. The share
  is bound over measured. What is not in the bound: the call, what stands between the loops, and waiting for results, of
  which `schedulers` has the last.
- Memory: 2 rows of 16 Mi elements, 64 MiB each. The traffic bound is the time of plain loops that go through memory as
  the kernels do (PASSES), row by row, with vectors of whichever width is faster; they take turns with the operations.
  The port bound is that of the loops over long rows. The share is the larger of the two over measured. It may exceed
  100%: plain loops are no proof.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from math import isnan, log2, nan
from pathlib import Path

import scheduler
from scheduler import Schedulers, Step

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
MARKERS = "<!-- limits -->", "<!-- /limits -->"

FEWEST_ITERATIONS = 7
BACKENDS = ["avx2", "avx512"]
MOST_FOR_MODELS = 50_000

ROW = (1, 2048)
SHORT_ROWS = [(256, 10), (1024, 2)]
LONG_ROW = (1, (1 << 18) + 8192)  # a block more than the longest that src/kernel/softmax.rs does not take for long
# What is looked at in L1: operation, rows, classes.
IN_L1 = [
    *((op, *ROW) for op in ["exp", "sigmoid", "softmax", "log_softmax", "softmax_loss_grad", "sigmoid_loss_grad"]),
    *((op, *shape) for op in ["softmax", "softmax_loss_grad"] for shape in SHORT_ROWS),
]

# How the kernels go through memory, pass by pass, as plain loops that do the same.
PASSES = {
    "softmax": ("read", "copy_streamed"),
    "softmax_in_place": ("read", "update"),
    "softmax_loss_grad": ("read", "copy_streamed"),
    "softmax_loss_grad_in_place": ("read", "update"),
}
# The cache lines that a plain loop moves for a line of elements: what is written is read first unless it is streamed.
LINES = {"read": 1, "fill": 2, "fill_streamed": 1, "update": 2, "copy": 3, "copy_streamed": 2}
LONG_LENGTH = 2 << 24  # of both rows

PTRACE_TRACEME, PTRACE_PEEKTEXT, PTRACE_PEEKUSER, PTRACE_CONT, PTRACE_SINGLESTEP = 0, 1, 3, 7, 9
RIP = 16 * 8  # in the kernel's `struct user`
INT3 = 0xCC


@dataclass(frozen=True)
class Core:
    name: str
    file: str  # of results
    mca: str  # the CPU that is likest of those that LLVM 14 has a model of
    vendor: str  # of CPUID
    family: int
    avx512: bool
    rules: list[Rule]
    bits: int  # of a pipe and of a load
    division_cycles: tuple[float, float]  # of up to 256 bits, and 512
    stores: int  # of 256 bits, a cycle
    width: int  # instructions a cycle
    schedulers: Schedulers | None = None  # where they are known, with
    latencies: Sequence[tuple[str, int]] = ()


# What a mnemonic begins with, as Instruction.kind has it; the operations that it is, each by the pipes that can execute
# it, and those of 512 bits if they are others. The first rule that matches counts.
Rule = tuple[str, str, str]
TO_MASK, MASKED, ZERO, OF_MASKS, FROM_MEMORY = "to mask ", "masked ", "zero ", "of masks ", "from memory "
BY_INDICES = " by indices"
MOVE = r"mov([au]p|dq)"
PERMUTE = r"perm|p?(shuf|unpck|broadcast|insr?|extr)|palignr|mov|pmov"

ZEN_3: list[Rule] = [
    (ZERO + "|" + MOVE, "", ""),
    (r"div", "01 01", ""),
    (f"fn?m(add|sub)|mul[ps][sd]|p?blendv|permilps{BY_INDICES}", "01", ""),
    (r"perm(ps|d)", "01 01", ""),
    (r"perm(pd|q)", "01 12", ""),
    (f"({FROM_MEMORY})?insert[fi]128|extract[fi]128|p?broadcast|perm2", "0", ""),
    (r"cmp|(add|sub|max|min)[ps][sd]|cvt|roundp", "23", ""),
    (r"p?mov", "", ""),
    (f"({FROM_MEMORY})?({PERMUTE}|ptest)|p(sll|srl|sra)", "12", ""),
    (r"", "0123", ""),
]
ZEN: list[Rule] = [
    (ZERO + "|" + MOVE, "", ""),
    (TO_MASK + "|" + OF_MASKS, "01", "01"),
    (MASKED + MOVE, "0123", "0123"),
    (r"scalef", "23 23", "23 23"),
    (r"div", "01 01", "01 01"),
    (r"fn?m(add|sub)|mul[ps][sd]|p?blendv|fixup", "01", "01"),
    (r"cmp|(add|sub|max|min)[ps][sd]|cvt|roundp|rndscale|p(sll|srl|sra)|p(max|min)", "23", "23"),
    (f"({FROM_MEMORY})?({PERMUTE}|p?movmsk|pcmp|ptest)", "12", "12"),
    (r"", "0123", "0123"),
]
GOLDEN_COVE: list[Rule] = [
    (ZERO + "|" + MOVE, "", ""),
    (TO_MASK + "pmov|" + OF_MASKS, "0", "0"),
    (TO_MASK, "5", "5"),
    (MASKED + MOVE + "|" + FROM_MEMORY + "p?insr?", "015", "05"),
    (r"div", "0", "0 0 5"),
    (r"p?blendv", "015 015 015", ""),
    (r"p?movmsk", "0", ""),
    (r"cvt(dq2ps|t?ps2dq)", "01", "05"),
    (r"cvt", "5 01", "5 05"),
    (r"roundp|rndscale", "01 01", "05 05"),
    (r"shufps", "15", "5"),
    (f"({FROM_MEMORY})?({PERMUTE})", "5", "5"),
    (r"(add|sub)[ps][sd]", "15", "05"),
    (r"p(sll|srl|sra)", "01", "0"),
    (r"fn?m(add|sub)|mul[ps][sd]|(max|min)[ps][sd]|scalef|fixup|cmp|pcmp|p(max|min)", "01", "05"),
    (r"", "015", "05"),
]

# Cycles from an operation to what waits for it, by what a mnemonic begins with; found by timing chains of each. Of permutes
# by indices, that is from the indices: the tables are there before.
LATENCIES_ZEN_3: list[tuple[str, int]] = [
    (ZERO + "|" + MOVE, 0),
    (r"div", 10),
    (r"fn?m(add|sub)", 4),
    (r"mul|(add|sub)[ps][sd]|cvt|roundp", 3),
    (r"perm(pd|q)", 6),
    (f"perm(ps|d|2)|permilps{BY_INDICES}|extract", 3),
    (r"insert[fi]128|p?broadcast", 2),
    (r"p?test|p?movmsk|u?comis", 5),
    (r"", 1),
]

SCHEDULERS_ZEN_3 = Schedulers(reorder_buffer=256, queue=64, scheduler=32, load=8)

CORES = [
    Core(
        "Zen 3", "zen3.md", "znver3", "AuthenticAMD", 25, False, ZEN_3, 256, (3.0, nan), 1, 6,
        SCHEDULERS_ZEN_3, LATENCIES_ZEN_3,
    ),
    Core("Zen 4", "zen4.md", "skylake-avx512", "AuthenticAMD", 25, True, ZEN, 256, (3.0, 6.0), 1, 6),
    Core("Zen 5", "zen5.md", "skylake-avx512", "AuthenticAMD", 26, True, ZEN, 512, (2.5, 2.5), 2, 8),
    Core("Golden Cove", "xeon.md", "skylake-avx512", "GenuineIntel", 6, True, GOLDEN_COVE, 512, (5.0, 10.0), 2, 6),
]

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@dataclass(frozen=True)
class Instruction:
    text: str

    @property
    def mnemonic(self) -> str:
        return self.text.split(maxsplit=1)[0]

    @property
    def is_vector(self) -> bool:
        return re.search(r"%[xyz]mm", self.text) is not None

    @property
    def is_jump(self) -> bool:
        return self.mnemonic.startswith("j")

    @property
    def is_conditional_jump(self) -> bool:
        return self.is_jump and self.mnemonic != "jmp"

    @property
    def is_vector_move(self) -> bool:
        return self.is_vector and re.match(r"v?mov[aud]", self.mnemonic) is not None

    @property
    def is_vector_store(self) -> bool:
        return self.is_vector and re.search(r"\)( \{%k\d\})?$", self.text) is not None

    @property
    def is_vector_load(self) -> bool:
        return self.is_vector and "(" in self.text and not self.is_vector_store

    @property
    def is_spill(self) -> bool:
        return self.is_vector_move and re.search(r"\(%r[sb]p\b", self.text) is not None

    def does(self, pattern: str) -> bool:
        return self.is_vector and re.match("v?(" + pattern + ")", self.mnemonic) is not None

    def times(self, bits: int) -> int:
        """Of units that take so many bits, how many it takes."""
        return 2 if bits < 512 and "%zmm" in self.text else 1

    @property
    def kind(self) -> str:
        """The mnemonic after its `v`, with what its operands make of it."""
        name = self.mnemonic.removeprefix("v")
        if self.is_of_masks:
            # From a general register, it is as a comparison.
            return (TO_MASK if re.search(r"%[er]\w+,\s*%k", self.text) else OF_MASKS) + name
        if re.match(r"p?cmp|ptestn?m|pmov[bwdq]2m", name) and "%k" in self.text:
            return TO_MASK + name
        if self.is_vector_move and "{%k" in self.text:
            return MASKED + name
        if re.match(r"p?xor", name) and re.search(r"\s%[xyz]mm(\d+), %[xyz]mm\1, ", self.text):
            return ZERO + name
        if re.match(r"p?insr?", name) and "(" in self.text:
            return FROM_MEMORY + name
        if name == "permilps" and "$" not in self.text:
            return name + BY_INDICES
        return name

    @property
    def is_of_masks(self) -> bool:
        return re.match(r"k\w", self.mnemonic) is not None

    def operations(self, core: Core) -> list[str]:
        """Each by the pipes that can execute it."""
        is_load_alone = "(" in self.text and (self.is_of_masks or self.is_vector and self.does(r"mov|p?broadcast"))
        if self.is_vector_store or is_load_alone or not (self.is_vector or self.is_of_masks):
            return []
        of_256, of_512 = next(rule[1:] for rule in core.rules if re.match(rule[0], self.kind))
        return (of_512 if "%zmm" in self.text else of_256).split() * self.times(core.bits)

    @property
    def operands(self) -> list[str]:
        """Registers without their widths, and memory; the last is written."""
        found = re.findall(r"%[xyz]mm\d+|[^\s,%]*\([^)]*\)|[^\s,]+", self.text.partition("\t")[2] or self.text)
        return [re.sub(r"%[xyz]mm", "v", operand) for operand in found]

    def step(self, core: Core) -> Step:
        """What it is to the model of the schedulers, which knows vectors of up to 256 bits."""
        operands = self.operands if self.is_vector else []
        places = [operand for operand in operands if re.match(r"v\d|.*\(%rsp\)", operand)]
        writes = places[-1] if places and places[-1] == operands[-1] and not self.does("p?test|u?comis") else None
        is_fma = self.does(r"fn?m(add|sub)")
        reads_last = is_fma or writes is None
        is_zero = self.is_vector and self.kind.startswith(ZERO)
        return Step(
            pipes=tuple(self.operations(core)),
            latency=next(cycles for pattern, cycles in core.latencies if re.match(pattern, self.kind)),
            reads=frozenset() if is_zero else frozenset(places if reads_last else places[:-1]),
            writes=writes,
            is_load=self.is_vector_load,
            is_store=self.is_vector_store,
            is_fma=is_fma,
            is_division=self.does("div"),
        )


Weight = Callable[[Instruction], float]  # of an instruction in a sum over those executed


@dataclass(frozen=True)
class Pass:
    """A pass over the elements, as it was executed from one visit of its loop's head to the last."""

    code: list[Instruction]
    length: int  # of the table
    iterations: int
    elements: int  # of an iteration

    @cached_property
    def counts(self) -> Counter[Instruction]:
        return Counter(self.code)

    @property
    def name(self) -> str:
        """After what its instructions do."""

        def often(weight: Weight) -> bool:
            return total(self.counts, weight) >= self.length / 32

        def does(pattern: str) -> Weight:
            return lambda i: i.does(pattern)

        names = {"exp": "fn?m(add|sub)", "max": "max", "scale": "mul"}
        parts = [next((name for name, pattern in names.items() if often(does(pattern))), "subtract")]
        parts += ["divide"] * often(does("div"))
        parts += ["store"] * often(lambda i: i.is_vector_store and not i.is_spill)
        return " + ".join(parts)

    def per_iteration(self, weight: Weight) -> float:
        return total(self.counts, weight) / self.iterations

    def per_16(self, cycles: float) -> float:
        return cycles * 16 / (self.iterations * self.elements)

    def bound(self, core: Core) -> float:
        """Cycles per 16 elements; NaN where the core lacks some instructions."""
        if not core.avx512 and any(re.search("%(zmm|k)", i.text) for i in self.counts):
            return nan
        return self.per_16(busiest_unit(self.counts, core))

    def by_schedulers(self, core: Core) -> float:
        """Cycles per 16 elements; NaN where the core's schedulers are not known."""
        if core.schedulers is None:
            return nan
        some = self.code[:MOST_FOR_MODELS]
        # The processor fuses a comparison with the jump behind it.
        fused = [b.is_conditional_jump and re.match("cmp|test", a.mnemonic) is not None for a, b in pairwise(some)]
        of = {instruction: instruction.step(core) for instruction in set(some)}
        run = [of[instruction] for instruction, is_fused in zip(some, [False, *fused], strict=True) if not is_fused]
        cycles = scheduler.cycles(run, core.schedulers, core.width, core.division_cycles[0])
        return self.per_16(cycles * len(self.code) / len(some))

    def bound_by_mca(self, cpu: str) -> float:
        return self.per_16(mca(self.code, cpu))


def total(counts: Counter[Instruction], weight: Weight) -> float:
    return sum(count * weight(instruction) for instruction, count in counts.items())


def busiest_unit(counts: Counter[Instruction], core: Core) -> float:
    """Cycles that it needs."""
    work: Counter[str] = Counter()
    for instruction, count in counts.items():
        for pipes in instruction.operations(core):
            work[pipes] += count
    pipes = sorted(set("".join(work)))
    sets = [set(some) for size in range(1, len(pipes) + 1) for some in combinations(pipes, size)]
    busy = [sum(count for pipes, count in work.items() if set(pipes) <= some) / len(some) for some in sets]

    return max(
        *busy,
        total(counts, lambda i: core.division_cycles["%zmm" in i.text] if i.does("div") else 0),
        total(counts, lambda i: i.times(core.bits) if i.is_vector_load else 0) / 2,
        total(counts, lambda i: i.times(256) if i.is_vector_store else 0) / core.stores,
        counts.total() / core.width,
    )


def mca(code: Sequence[Instruction], cpu: str) -> float:
    """Cycles by llvm-mca; NaN where its model has not all instructions."""
    some = code[:MOST_FOR_MODELS]
    # A jump's target says nothing here, and a number is not one.
    text = "\n".join(f"{i.mnemonic} 0f" if i.is_jump else i.text for i in some) + "\n0:\n"
    command = ["llvm-mca", "-mtriple=x86_64", f"-mcpu={cpu}", "-iterations=1"]
    command += ["-instruction-info=0", "-resource-pressure=0"]
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    found = re.search(r"^Block RThroughput:\s*([\d.]+)", run.stdout, re.MULTILINE)
    return float(found[1]) * len(code) / len(some) if found and run.returncode == 0 else nan


def build() -> Path:
    command = ["cargo", "bench", "--no-run", "--bench", "limits", "--manifest-path", str(HERE / "peers" / "Cargo.toml")]
    run = subprocess.run([*command, "--message-format=json-render-diagnostics"], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(run.returncode)
    messages = map(json.loads, run.stdout.splitlines())
    return Path(next(m["executable"] for m in messages if m.get("target", {}).get("name") == "limits"))


def disassemble(binary: Path) -> dict[int, Instruction]:
    command = ["llvm-objdump", "-d", "--no-show-raw-insn", "--section=.text", str(binary)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = (re.match(r"\s*([0-9a-f]+):\s+(.*)", line) for line in lines)
    return {int(m[1], 16): Instruction(re.sub(r"\s*(#|<).*", "", m[2])) for m in found if m}


def trace(binary: Path, op: str, backend: str, shape: str) -> list[int]:
    """Addresses, as in the file, of the instructions that the operation executes; none where the backend is missing."""
    pid = os.fork()
    if pid == 0:
        libc.ptrace(PTRACE_TRACEME, 0, None, None)
        os.execv(binary, [str(binary), "trace", op, backend, shape])
    os.waitpid(pid, 0)
    base = load_address(pid, binary)
    if not resume(pid, PTRACE_CONT):
        return []
    addresses = list(steps(pid))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return [address - base for address in addresses]


def steps(pid: int) -> Iterator[int]:
    """The addresses of the instructions up to the next breakpoint."""
    while (peek(pid, PTRACE_PEEKTEXT, rip := peek(pid, PTRACE_PEEKUSER, RIP)) & 0xFF) != INT3:
        yield rip
        if not resume(pid, PTRACE_SINGLESTEP):
            sys.exit("the harness ended before its second breakpoint")


def resume(pid: int, request: int) -> bool:
    if libc.ptrace(request, pid, None, None) != 0:
        sys.exit(f"ptrace is not allowed here: {os.strerror(ctypes.get_errno())}")
    return os.WIFSTOPPED(os.waitpid(pid, 0)[1])


def peek(pid: int, request: int, address: int) -> int:
    return libc.ptrace(request, pid, address, None) & (1 << 64) - 1


def load_address(pid: int, binary: Path) -> int:
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return int(next(line for line in maps if line.endswith(str(binary))).partition("-")[0], 16)


def passes(addresses: Sequence[int], code: dict[int, Instruction], rows: int, classes: int) -> list[Pass]:
    jumps = ((a, b) for a, b in pairwise(addresses) if b <= a and a in code and code[a].is_jump)
    heads = {head for head, count in Counter(b for _, b in jumps).items() if count >= FEWEST_ITERATIONS}
    visits: dict[int, list[int]] = {}
    for time, address in enumerate(addresses):
        if address in heads:
            visits.setdefault(address, []).append(time)
    loops = sorted(visits.values(), key=lambda times: times[0])
    merged: list[list[list[int]]] = []
    for times in loops:
        if merged and times[0] < max(loop[-1] for loop in merged[-1]):
            merged[-1].append(times)
        else:
            merged.append([times])
    made = [make_pass(outermost(loops), addresses, code, rows, classes) for loops in merged]
    # Others are over blocks: no vector has more than 16 elements.
    return [part for part in made if len(part.code) >= rows * classes / 16]


def outermost(loops: Sequence[list[int]]) -> list[int]:
    """Of loops in one another, the one with the fewest visits among those that last as long as all."""
    whole = max(loop[-1] for loop in loops) - min(loop[0] for loop in loops)
    return min((loop for loop in loops if loop[-1] - loop[0] > 0.9 * whole), key=len, default=max(loops, key=len))


def make_pass(
    times: Sequence[int], addresses: Sequence[int], code: dict[int, Instruction], rows: int, classes: int
) -> Pass:
    executed = [code.get(address, Instruction("nop")) for address in addresses[times[0] : times[-1]]]
    # The first iteration may stand before the loop, or the last behind it.
    indivisible = 1 if rows == 1 else classes
    elements = indivisible * 2 ** round(log2(rows * classes / indivisible / len(times)))
    return Pass(executed, rows * classes, len(times) - 1, elements)


@dataclass(frozen=True)
class Time:
    nanoseconds: float
    cycles: float
    clock: float
    """Nanoseconds of a cycle."""


def times(binary: Path, seconds: float) -> dict[str, dict[str, Time]]:
    """By section and name."""
    in_l1 = ",".join(f"{op}/{rows}x{classes}" for op, rows, classes in IN_L1)
    command = [binary, "time", str(seconds), in_l1, *{",".join(passes) for passes in PASSES.values()}]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    sections: dict[str, dict[str, Time]] = {}
    for line in output.splitlines():
        section, name, *numbers = line.split()
        sections.setdefault(section, {})[name] = Time(*map(float, numbers))
    return sections


def table(header: str, rows: Iterable[Sequence[object]]) -> str:
    names = header.split("|")
    rule = ["---" if name.startswith("op") or name in ("pass", "plain loop", "passes") else "---:" for name in names]
    return "\n".join("|" + "|".join(f" {cell} " for cell in row) + "|" for row in [names, rule, *rows])


def cell(cycles: float) -> str:
    return "-" if isnan(cycles) else f"{cycles:.2f}"


def loops_table(found: dict[str, list[Pass]], models: dict[str, list[float]], core: Core) -> str:
    def row(op: str, part: Pass, model: float) -> list[object]:
        weights: list[Weight] = [lambda _: 1, lambda i: i.is_spill, lambda i: i.is_conditional_jump]
        cells = map(cell, [part.bound_by_mca(core.mca), part.bound(core), model])
        counts = [f"{part.per_iteration(weight):.1f}".removesuffix(".0") for weight in weights]
        return [op, part.name, part.elements, *counts, *cells]

    header = f"op|pass|elements|instructions|spill|jump|llvm-mca {core.mca}|{core.name}|schedulers"
    return table(header, [row(op, *of) for op, parts in found.items() for of in zip(parts, models[op], strict=True)])


def port_bound(parts: list[Pass], core: Core) -> float:
    """Of all passes, in cycles per 16 elements."""
    return sum(part.bound(core) for part in parts)


def l1_table(
    found: dict[str, list[Pass]], models: dict[str, list[float]], measured: dict[str, Time], core: Core
) -> str:
    rows = []
    for op, parts in found.items():
        if op not in measured:
            continue
        rows_of, classes = map(int, op.rpartition("/")[2].split("x"))
        elements, bound = rows_of * classes, port_bound(parts, core)
        nanoseconds, cycles = measured[op].nanoseconds / elements, 16 * measured[op].cycles / elements
        shown = [f"{nanoseconds:.3f}", f"{cycles:.2f}", f"{bound:.2f}", f"{bound / cycles:.0%}"]
        rows.append([op, *shown, cell(sum(models[op]))])
    return table("op|ns per element|cycles per 16|bound|share|schedulers", rows)


def plain_table(plain: dict[str, float]) -> str:
    def row(name: str, lines: int) -> list[object]:
        nanoseconds = plain[name] / LONG_LENGTH
        return [name, f"{nanoseconds:.3f}", lines, f"{4 * lines / nanoseconds:.0f}"]

    return table("plain loop|ns per element|lines moved|GB/s", [row(name, lines) for name, lines in LINES.items()])


def memory_table(long: dict[str, Time], plain: dict[str, float], ports: dict[str, float]) -> str:
    def row(op: str, backend: str) -> list[object]:
        traffic = plain[",".join(PASSES[op])] / LONG_LENGTH
        time = long[f"{op}/{backend}"]
        cycles = ports[f"softmax/{backend}/{LONG_ROW[0]}x{LONG_ROW[1]}"] / 16
        port = cycles * time.clock
        measured = time.nanoseconds / LONG_LENGTH
        numbers = [f"{number:.3f}" for number in (measured, traffic, port)]
        return [f"{op}/{backend}", ", ".join(PASSES[op]), *numbers, f"{max(traffic, port) / measured:.0%}"]

    rows = [row(op, backend) for op in PASSES for backend in BACKENDS if f"{op}/{backend}" in long]
    return table("op|passes|ns per element|traffic bound|port bound|share", rows)


def fastest(plain: dict[str, Time]) -> dict[str, float]:
    """Nanoseconds of each plain loop, with vectors of whichever width."""
    best: dict[str, float] = {}
    for name, time in plain.items():
        name = name.partition("/")[0]
        best[name] = min(time.nanoseconds, best.get(name, time.nanoseconds))
    return best


def cpu(field: str) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "unknown")


def core_here() -> Core:
    def likeness(core: Core) -> tuple[bool, ...]:
        # Zen 3 and Zen 4 are of one family.
        has_avx512 = "avx512f" in cpu("flags").split()
        return core.vendor == cpu("vendor_id"), str(core.family) == cpu("cpu family"), core.avx512 == has_avx512

    return max(reversed(CORES), key=likeness)


def report(binary: Path, seconds: float, core: Core) -> str:
    code = disassemble(binary)
    found: dict[str, list[Pass]] = {}
    for op, rows, classes in [*IN_L1, ("softmax", *LONG_ROW)]:
        for backend in BACKENDS:
            if addresses := trace(binary, op, backend, shape := f"{rows}x{classes}"):
                found[f"{op}/{backend}/{shape}"] = passes(addresses, code, rows, classes)
    for op in (op for op, parts in found.items() if not parts):
        print(f"{op}: no loop found", file=sys.stderr)
    models = {op: [part.by_schedulers(core) for part in parts] for op, parts in found.items()}
    measured = times(binary, seconds)
    clocks = sorted(1 / time.clock for time in measured["L1"].values())
    ports = {op: port_bound(parts, core) for op, parts in found.items()}
    plain = fastest(measured["plain"])
    return "\n\n".join([
        f"{cpu('model name')} at {clocks[0]:.2f} to {clocks[-1]:.2f} GHz, with the model of {core.name}. Bounds of the "
        "loops, in cycles per 16 elements:",
        loops_table(found, models, core),
        "Tables in L1:",
        l1_table(found, models, measured["L1"], core),
        "Rows of 64 MiB:",
        plain_table(plain),
        memory_table(measured["long"], plain, ports),
    ])


def write(text: str, core: Core) -> None:
    path, (first, last) = RESULTS / core.file, MARKERS
    old = path.read_text() if path.exists() else f"# {core.name}\n"
    if first not in old:
        old += f"\n## How near the limit\n\n{first}\n{last}\n"
    before, _, rest = old.partition(first)
    _, end, after = rest.partition(last)
    if not end:
        sys.exit(f"{path} has {first} but no {last}")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description="xent and the limits of the machine")
    parser.add_argument("--seconds", type=float, default=10, help="in L1; twice as many in memory (default: 10)")
    parser.add_argument("--write", action="store_true", help="into benches/results, for this core")
    arguments = parser.parse_args()
    if not all(map(shutil.which, ["cargo", "llvm-mca", "llvm-objdump"])):
        sys.exit("needs cargo, llvm-mca and llvm-objdump: apt-get install llvm")
    core = core_here()
    text = report(build(), arguments.seconds, core)
    print(text)
    if arguments.write:
        write(text, core)


if __name__ == "__main__":
    main()

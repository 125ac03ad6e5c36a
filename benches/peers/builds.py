# /// script
# requires-python = ">=3.11"
# ///
"""Is xent as fast however it is built? The same C functions, built in several ways, timed against each other.

    python3 benches/peers/builds.py [--seconds 2]

Needs cargo and the standard library.

Method
- Each build has a target directory of its own under CARGO_TARGET_DIR, or benches/peers/target; RUSTFLAGS from outside
  are dropped. `opt 1` and `opt s` build the library that calls xent so, and xent itself at 3: what of xent is compiled
  into its caller shows there.
- All are loaded into one process, pinned to one core, and work on the same buffers. First each one's results are
  compared with the default build's: within 1e-5 of each value and 1e-6 of the largest, as `native` may round otherwise.
- The builds take turns, every other round backwards, and start with another one each two rounds. In a turn each
  makes one call that is not counted, then as many as take 0.2 ms. The smallest time of all rounds counts.
- What a ctypes call costs that does nothing is subtracted: it is the same for all and would hide differences.

The bar: the default build takes at most 1.05 times as long as the native one. Exit status: 1 where it is missed or a
result differs.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from timing import HERE, Buffer, Xent, buffer, build, cpu, pin, take_turns

BAR = 1.05
XENT_AT_3 = ("--config", "profile.release.package.xent.opt-level=3")

# Arguments of cargo, RUSTFLAGS.
BUILDS: dict[str, tuple[tuple[str, ...], str]] = {
    "native": ((), "-C target-cpu=native"),
    "default": ((), ""),
    "units 256": (("--config", "profile.release.codegen-units=256"), ""),
    "opt 1": (("--config", "profile.release.opt-level=1", *XENT_AT_3), ""),
    "opt s": (("--config", 'profile.release.opt-level="s"', *XENT_AT_3), ""),
    "lto fat": (("--config", 'profile.release.lto="fat"'), ""),
    "lto off": (("--config", 'profile.release.lto="off"'), ""),
}


@dataclass(frozen=True)
class Case:
    op: str
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.op:<12} {'x'.join(map(str, self.sizes)):>9}"


CASES = [
    Case("exp", (4096,)),
    Case("sigmoid", (4096,)),
    Case("softmax", (64, 1000)),
    Case("softmax", (1024, 10)),
    Case("log_softmax", (64, 1000)),
    Case("log_softmax", (1024, 10)),
    Case("ce", (64, 1000)),
    Case("ce", (1024, 10)),
    Case("ce", (4096, 2)),
    Case("ce", (8, 131072)),
    Case("bce", (64, 1000)),
]
FUNCTIONS = {"ce": "xent_softmax_cross_entropy_grad", "bce": "xent_sigmoid_cross_entropy_grad"}


@dataclass
class Tables:
    """One case's arguments: inputs, and outputs that all builds write to."""

    inputs: list[Buffer]
    output: Buffer
    loss: list[Buffer]


def tables(case: Case) -> Tables:
    generator = random.Random(1)
    length = prod(case.sizes)
    x = buffer(ctypes.c_float, length)
    x[:] = [generator.gauss(0, 3) for _ in range(length)]
    output = buffer(ctypes.c_float, length)
    if case.op not in FUNCTIONS:
        return Tables([x], output, [])
    if case.op == "ce":
        rows, classes = case.sizes
        targets = buffer(ctypes.c_int64, rows)
        targets[:] = [generator.randrange(classes) for _ in range(rows)]
    else:
        targets = buffer(ctypes.c_float, length)
        targets[:] = [generator.randrange(2) for _ in range(length)]
    return Tables([x, targets], output, [buffer(ctypes.c_double, 1)])


def calls(libraries: dict[str, Xent], case: Case) -> dict[str, Callable[[], int]]:
    """The call of each build, checked, and one that does nothing."""
    given = tables(case)
    function = FUNCTIONS.get(case.op, f"xent_{case.op}")
    bound = {}
    expected: list[float] = []
    for name in ["default", *libraries]:
        ctypes.memset(given.output, 0xFF, ctypes.sizeof(given.output))
        bound[name] = libraries[name].bind(function, [*given.inputs, given.output], case.sizes, *given.loss)
        results = [*given.output, *(loss[0] for loss in given.loss)]
        expected = expected or results
        absolute = 1e-6 * max(map(abs, expected))
        if not all(abs(got - want) <= 1e-5 * abs(want) + absolute for got, want in zip(results, expected, strict=True)):
            sys.exit(f"{case}: {name} differs from the default build")
    arguments = len(given.inputs) + 1 + len(case.sizes) + len(given.loss)
    bound["nothing"] = libraries["default"].bind_nothing(function, arguments)
    return {name: bound[name] for name in [*libraries, "nothing"]}


def columns(ratios: dict[str, float]) -> str:
    return "".join(f"{ratio:>11.2f}" for name, ratio in ratios.items() if name != "native")


def main() -> int:
    parser = argparse.ArgumentParser(description="xent built in several ways, against itself")
    parser.add_argument("--seconds", type=float, default=2, help="for each line of the table (default: 2)")
    arguments = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).resolve() / "builds"
    os.environ.pop("CARGO_ENCODED_RUSTFLAGS", None)
    libraries = {}
    for name, (cargo, flags) in BUILDS.items():
        path = build("--target-dir", str(target / name.replace(" ", "-")), *cargo, RUSTFLAGS=flags)
        libraries[name] = Xent(path)

    print(f"{cpu()}, {pin()}")
    print("xent backend:", ", ".join(f"{name} {xent.backend}" for name, xent in libraries.items()), "\n")
    print("ns/element of native, times as long of the others")
    print(f"{'op':<12} {'shape':>9}", "".join(f"{name:>11}" for name in libraries))
    worst = dict.fromkeys(libraries, 0.0)
    missed = []
    for case in CASES:
        times = take_turns(calls(libraries, case), arguments.seconds)
        work = {name: times[name] - times["nothing"] for name in libraries}
        ratios = {name: ns / work["native"] for name, ns in work.items()}
        worst = {name: max(worst[name], ratios[name]) for name in libraries}
        native = f"{work['native'] / prod(case.sizes):>11.3f}"
        print(case, native + columns(ratios), flush=True)
        if ratios["default"] > BAR:
            missed.append(case)
    print(f"{'the worst':<22}", " " * 11 + columns(worst))
    print(f"\ndefault / native, at most {BAR}:", "ok" if not missed else "MISSED")
    for case in missed:
        print(f"{case}  MISSED")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

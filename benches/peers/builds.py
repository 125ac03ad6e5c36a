# /// script
# requires-python = ">=3.11"
# ///
"""Is xent as fast however it is built, and faster than at another commit? Builds of its C functions, timed in turn.

    python3 benches/peers/builds.py                                 # the work tree, built in several ways
    python3 benches/peers/builds.py --commit HEAD --commit HEAD~1   # the work tree against other commits
    python3 benches/peers/builds.py --commit HEAD --backend wide ce:256x33 softmax:1024x10
    python3 benches/peers/builds.py --patch benches/peers/plain_sum.patch --certain ce:64x1000

plain_sum.patch adds up exponentials without taking the largest out: the last command tells what it costs to keep the
digits of small losses, whichever class is nearly certain.

Needs cargo and the standard library, and git and tar for commits and patches.

Method
- Each build has a target directory of its own under CARGO_TARGET_DIR, or benches/peers/target; RUSTFLAGS from outside
  are dropped. `opt 1` and `opt s` build the library that calls xent so, and xent itself at 3: what of xent is compiled
  into its caller shows there. A commit is exported into a directory of its own, but for the C functions, which
  are those of the work tree; its profile and dependencies are its own. A patch is applied to an export of the work tree,
  of the files that git knows.
- All are loaded into one process, pinned to one core, and work on the same buffers. First each one's results are
  compared with the default build's or the work tree's: within 1e-5 of each value and 1e-6 of the largest, as `native`
  and commits may round otherwise. A line of a table of commits or patches says which have the same bits.
- The builds take turns, every other round backwards, and start with another one each two rounds. In a turn each
  makes one call that is not counted, then as many as take 0.2 ms. The smallest time of all rounds counts.
- What a ctypes call costs that does nothing is subtracted: it is the same for all and would hide differences. Of calls
  that take less than a microsecond little is left that could be compared.

The bar: the default build takes at most 1.05 times as long as the native one. Exit status: 1 where it is missed or a
result differs.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from timing import HERE, Buffer, Xent, buffer, build, cpu, pin, take_turns

BAR = 1.05
WORK_TREE = "work tree"
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

    @classmethod
    def parse(cls, text: str) -> Case:
        """exp:4096 or softmax:64x1000."""
        match = re.fullmatch(r"(exp|sigmoid):(\d+)|(softmax|log_softmax|ce|bce):(\d+)x(\d+)", text)
        if not match:
            raise argparse.ArgumentTypeError(f"{text} is none of exp|sigmoid:N, softmax|log_softmax|ce|bce:ROWSxCLASSES")
        op, *sizes = (group for group in match.groups() if group is not None)
        return cls(op, tuple(map(int, sizes)))


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


def tables(case: Case, certain: bool) -> Tables:
    generator = random.Random(1)
    length = prod(case.sizes)
    x = buffer(ctypes.c_float, length)
    x[:] = [generator.gauss(0, 3) for _ in range(length)]
    if certain and len(case.sizes) == 2:
        rows, classes = case.sizes
        for row in range(rows):
            x[row * classes + generator.randrange(classes)] += 40
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


@dataclass
class Contenders:
    """The call of each build, checked, and one that does nothing; the builds whose results have the bits of the first."""

    calls: dict[str, Callable[[], int]]
    same_bits: list[str]


def contenders(libraries: dict[str, Xent], reference: str, case: Case, certain: bool) -> Contenders:
    given = tables(case, certain)
    function = FUNCTIONS.get(case.op, f"xent_{case.op}")
    bound = {}
    same_bits = []
    expected: list[float] = []
    bits = b""
    for name in [reference, *(name for name in libraries if name != reference)]:
        ctypes.memset(given.output, 0xFF, ctypes.sizeof(given.output))
        bound[name] = libraries[name].bind(function, [*given.inputs, given.output], case.sizes, *given.loss)
        results = [*given.output, *(loss[0] for loss in given.loss)]
        expected = expected or results
        absolute = 1e-6 * max(map(abs, expected))
        if not all(abs(got - want) <= 1e-5 * abs(want) + absolute for got, want in zip(results, expected, strict=True)):
            sys.exit(f"{case}: {name} differs from {reference}")
        results_bits = bytes(given.output) + b"".join(map(bytes, given.loss))
        bits = bits or results_bits
        if results_bits == bits:
            same_bits.append(name)
    arguments = len(given.inputs) + 1 + len(case.sizes) + len(given.loss)
    bound["nothing"] = libraries[reference].bind_nothing(function, arguments)
    return Contenders({name: bound[name] for name in [*libraries, "nothing"]}, same_bits)


def ways(target: Path) -> dict[str, Xent]:
    """The work tree, built in all of BUILDS."""
    libraries = {}
    for name, (cargo, flags) in BUILDS.items():
        directory = target / name.replace(" ", "-")
        libraries[name] = Xent(build("--target-dir", str(directory), *cargo, RUSTFLAGS=flags))
    return libraries


def trees(target: Path, revisions: list[str], patches: list[Path]) -> dict[str, Xent]:
    """The default builds of these commits, of the work tree with each of these patches, and of the work tree."""
    libraries = {}
    for revision in revisions:
        name = git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()
        tree = target / "commits" / name
        if not tree.exists():
            export(tree, name)
        shutil.copytree(HERE / "src", tree / "benches/peers/src", dirs_exist_ok=True)
        libraries[name] = library_of(tree)
    # A commit of the work tree, on no branch; none where nothing has changed.
    now = (patches and git("stash", "create").decode().strip()) or "HEAD"
    for patch in patches:
        tree = export(target / "patches" / patch.stem, now)
        # Without a ceiling, git finds the repository around the export, skips all of the patch and reports success.
        git("apply", str(patch.resolve()), cwd=tree, GIT_CEILING_DIRECTORIES=str(tree.parent))
        libraries[patch.stem] = library_of(tree)
    return libraries | {WORK_TREE: Xent(build("--target-dir", str(target / "default"), RUSTFLAGS=""))}


def export(tree: Path, revision: str) -> Path:
    """The files of a commit and no others."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    # Of today, as cargo builds anew what is younger than its last build.
    subprocess.run(["tar", "xm", "-C", tree], input=git("archive", revision), check=True)
    return tree


def library_of(tree: Path) -> Xent:
    """The default build of an export, with a target directory beside it."""
    target = tree.with_name(f"{tree.name}.target")
    return Xent(build("--target-dir", str(target), package=tree / "benches/peers", RUSTFLAGS=""))


def git(*arguments: str, cwd: Path = HERE.parent.parent, **environment: str) -> bytes:
    run = subprocess.run(
        ["git", *arguments], cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, check=True
    )
    return run.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="builds of xent against each other")
    parser.add_argument("cases", nargs="*", type=Case.parse, metavar="OP:SHAPE", help="instead of those of the table")
    parser.add_argument("--commit", action="append", help="the work tree against this commit, not builds of one tree")
    parser.add_argument("--patch", action="append", type=Path, help="the work tree against itself with this patch")
    parser.add_argument("--certain", action="store_true", help="softmax and losses: a class in each row is nearly certain")
    parser.add_argument("--backend", help="instead of the one that a build takes by itself")
    parser.add_argument("--seconds", type=float, default=2, help="for each line of the table (default: 2)")
    arguments = parser.parse_args()
    patches = arguments.patch or []
    if len({patch.stem for patch in patches}) < len(patches):
        parser.error("two patches of one name")
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).resolve() / "builds"
    os.environ.pop("CARGO_ENCODED_RUSTFLAGS", None)
    are_trees = bool(arguments.commit or patches)
    libraries = trees(target, arguments.commit or [], patches) if are_trees else ways(target)
    for name, xent in libraries.items():
        if arguments.backend and not xent.force(arguments.backend):
            sys.exit(f"{name} has no backend {arguments.backend} here")
    base, *compared = libraries
    reference = WORK_TREE if are_trees else "default"

    print(f"{cpu()}, {pin()}")
    print("xent backend:", ", ".join(f"{name} {xent.backend}" for name, xent in libraries.items()), "\n")
    print(f"ns/element of {base}, times as long of the others")
    width = max(11, 1 + max(map(len, libraries)))
    print(f"{'op':<12} {'shape':>9}", "".join(f"{name:>{width}}" for name in libraries))
    worst = dict.fromkeys(compared, 0.0)
    missed = []
    for case in arguments.cases or CASES:
        turn = contenders(libraries, reference, case, arguments.certain)
        times = take_turns(turn.calls, arguments.seconds)
        work = {name: times[name] - times["nothing"] for name in libraries}
        ratios = {name: work[name] / work[base] for name in compared}
        worst = {name: max(worst[name], ratios[name]) for name in compared}
        bits = f"  same bits: {', '.join(turn.same_bits)}" if are_trees else ""
        print(f"{case} {work[base] / prod(case.sizes):>{width}.3f}" + columns(ratios, width) + bits, flush=True)
        if not are_trees and ratios["default"] > BAR:
            missed.append(case)
    print(f"{'the worst':<22}", " " * width + columns(worst, width))
    if are_trees:
        return 0
    print(f"\ndefault / native, at most {BAR}:", "ok" if not missed else "MISSED")
    for case in missed:
        print(f"{case}  MISSED")
    return int(bool(missed))


def columns(ratios: dict[str, float], width: int) -> str:
    return "".join(f"{ratio:>{width}.2f}" for ratio in ratios.values())


if __name__ == "__main__":
    sys.exit(main())

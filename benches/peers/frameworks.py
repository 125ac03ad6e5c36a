# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch", "jax"]
# ///
"""xent against PyTorch and JAX on the CPU: the same shapes, the same data, one thread each, in one run.

    python3 -m venv venv && venv/bin/pip install numpy torch jax
    venv/bin/python benches/peers/frameworks.py [--only torch | --only jax] [--seconds 2]

or `uv run benches/peers/frameworks.py`. cargo must be on the path. On x86-64 Linux the torch package pulls GPU
libraries, without which it does not load: 6 GB on disk in all. A CPU-only build of the same version does as well; with
`--only jax`, numpy and jax are enough, 0.6 GB.

Method
- One process, pinned to one core before the frameworks start their threads; they are told to use one thread as well.
- All read the same float32 logits; targets are int64 indices (JAX: int32) or float32 labels. Tables are aligned to 64
  bytes, as the frameworks' own are. The cross-entropy (ce) is a mean over rows, the binary one (bce) over elements.
- Every result, loss and gradient, is compared with numpy in float64 before it is timed: the loss within 1e-5 of its
  value, each element within 1e-4 of its value and, where terms cancel, 1e-6 of the largest.
- Logits are normally distributed with a standard deviation of 3: in most rows the largest stands alone, as after training.
- Loss and gradient: xent's `loss_grad`; PyTorch forward and backward, by `loss.backward()` and by
  `torch.autograd.grad`; JAX `jit(value_and_grad)` and `block_until_ready`, of the loss as it is usually written and as
  optax has it. Activations: PyTorch with and without `out=`. The fastest way of each framework counts and is named.
- The contenders take turns, every other round backwards, and start with another one each two rounds. In a turn each
  makes one call that is not counted, then as many as take 0.2 ms. The smallest time of all rounds counts.
- Calling is counted against everyone. What it costs is printed: a loss and gradient of 1x2 logits, xent's through ctypes.

Exit status: 1 where a bar is missed, a package is missing or a result is wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from timing import Xent, buffer, build, cpu, pin, take_turns

try:
    import numpy as np
except ImportError:
    sys.exit("missing: pip install numpy torch jax")

Run = Callable[[], Sequence[Any]]  # returns the activation, or the loss and its gradient


@dataclass(frozen=True)
class Case:
    op: str
    rows: int
    classes: int
    bars: tuple[float, float] | None = None  # times faster than PyTorch, than JAX

    def __str__(self) -> str:
        return f"{self.op:<12} {f'{self.rows}x{self.classes}':>9}"


CASES = [
    Case("exp", 1, 16384),
    Case("sigmoid", 1, 16384),
    Case("softmax", 256, 100),
    Case("softmax", 64, 1000),
    Case("softmax", 8, 32000),
    Case("softmax", 8, 131072),
    Case("log_softmax", 64, 1000),
    Case("log_softmax", 8, 32000),
    Case("log_softmax", 8, 131072),
    Case("ce", 256, 100),
    Case("ce", 64, 1000, (8, 4)),
    Case("ce", 8, 32000, (8, 4)),
    Case("ce", 8, 131072, (8, 4)),
    Case("ce", 1024, 10, (20, 10)),
    Case("ce", 4096, 2, (25, 12)),
    Case("bce", 64, 1000, (9, 4)),
    Case("bce", 1024, 10, (9, 4)),
]


def exact(op: str, x: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    x = x.astype(np.float64)
    p = 1 / (1 + np.exp(-x))
    shifted = x - x.max(1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    if op == "ce":
        rows = np.arange(len(x))
        gradient = np.exp(log_softmax)
        gradient[rows, targets] -= 1
        return [-log_softmax[rows, targets].mean(), gradient / len(x)]
    if op == "bce":
        return [(np.maximum(x, 0) - x * targets + np.log1p(np.exp(-abs(x)))).mean(), (p - targets) / x.size]
    return [{"exp": np.exp(x), "sigmoid": p, "softmax": np.exp(log_softmax), "log_softmax": log_softmax}[op]]


def cancels(op: str, shape: tuple[int, ...], targets: np.ndarray) -> np.ndarray | bool:
    """The elements that are a difference of larger numbers: those of the labels, as p - 1, or all."""
    if op != "ce":
        return op in ("bce", "log_softmax")
    return np.arange(shape[1]) == targets[:, None]


def check(name: str, case: Case, got: Sequence[Any], expected: Sequence[np.ndarray], targets: np.ndarray) -> None:
    for result, want in zip(got, expected, strict=True):
        value = np.asarray(result.detach() if hasattr(result, "detach") else result, np.float64)
        size = abs(want)
        tolerance = 1e-5 * size
        if size.ndim:
            tolerance = 1e-4 * size + cancels(case.op, want.shape, targets) * 1e-6 * size.max()
        if value.shape != want.shape or not (abs(value - want) <= tolerance).all():
            sys.exit(f"{case}: {name} is wrong")


def tables(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets, in aligned memory."""
    random = np.random.default_rng(1)
    size = case.rows * case.classes
    x = np.ctypeslib.as_array(buffer(ctypes.c_float, size)).reshape(case.rows, case.classes)
    x[:] = random.normal(0, 3, x.shape)
    if case.op == "bce":
        targets = np.ctypeslib.as_array(buffer(ctypes.c_float, size)).reshape(x.shape)
        targets[:] = random.integers(0, 2, x.shape)
    else:
        targets = np.ctypeslib.as_array(buffer(ctypes.c_int64, case.rows))
        targets[:] = random.integers(0, case.classes, case.rows)
    return x, targets


def xent_call(xent: Xent, op: str, x: np.ndarray, targets: np.ndarray) -> tuple[Callable[[], int], list[np.ndarray]]:
    """The call, and where its results are."""
    y, loss = buffer(ctypes.c_float, x.size), buffer(ctypes.c_double, 1)
    result = np.ctypeslib.as_array(y).reshape(x.shape)
    inputs = [np.ctypeslib.as_ctypes(array.reshape(-1)) for array in (x, targets)]
    if op in ("ce", "bce"):
        function = {"ce": "xent_softmax_cross_entropy_grad", "bce": "xent_sigmoid_cross_entropy_grad"}[op]
        return xent.bind(function, [*inputs, y], x.shape, loss), [np.ctypeslib.as_array(loss).reshape(()), result]
    sizes = [x.size] if op in ("exp", "sigmoid") else x.shape
    return xent.bind(f"xent_{op}", [inputs[0], y], sizes), [result]


def torch_ways(op: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, Run]:
    import torch
    from torch.nn import functional as F

    x, targets = torch.from_numpy(logits), torch.from_numpy(labels)
    activations: dict[str, Callable[..., Any]] = {
        "exp": torch.exp,
        "sigmoid": torch.sigmoid,
        "softmax": partial(torch.softmax, dim=1),
        "log_softmax": partial(torch.log_softmax, dim=1),
    }
    if op in activations:
        activation, out = activations[op], torch.empty_like(x)
        return {"out=": lambda: [activation(x, out=out)], "new": lambda: [activation(x)]}

    loss_of = F.cross_entropy if op == "ce" else F.binary_cross_entropy_with_logits
    x.requires_grad_(True)

    def backward() -> Sequence[Any]:
        x.grad = None
        loss = loss_of(x, targets)
        loss.backward()
        return loss, x.grad

    def grad() -> Sequence[Any]:
        loss = loss_of(x, targets)
        return loss, *torch.autograd.grad(loss, x)

    return {"backward": backward, "autograd.grad": grad}


def jax_ways(op: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, Run]:
    import jax
    from jax import nn
    from jax import numpy as jnp

    def ce(x: Any, t: Any) -> Any:
        return (nn.logsumexp(x, axis=1) - jnp.take_along_axis(x, t[:, None], 1)[:, 0]).mean()

    def ce_optax(x: Any, t: Any) -> Any:
        x = x - jax.lax.stop_gradient(x.max(1, keepdims=True))
        return (jnp.log(jnp.exp(x).sum(1)) - jnp.take_along_axis(x, t[:, None], 1)[:, 0]).mean()

    def bce(x: Any, t: Any) -> Any:
        return (jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-abs(x)))).mean()

    def bce_optax(x: Any, t: Any) -> Any:
        return (-t * nn.log_sigmoid(x) - (1 - t) * nn.log_sigmoid(-x)).mean()

    x, targets = jnp.asarray(logits), jnp.asarray(labels)  # on the device from here on; int64 becomes int32
    activations = {"exp": jnp.exp, "sigmoid": nn.sigmoid, "softmax": nn.softmax, "log_softmax": nn.log_softmax}
    if op in activations:
        activation = jax.jit(activations[op])
        return {"jit": lambda: [activation(x).block_until_ready()]}

    def loss_and_gradient(loss: Callable[[Any, Any], Any]) -> Run:
        compiled = jax.jit(jax.value_and_grad(loss))

        def run() -> Sequence[Any]:
            value, gradient = compiled(x, targets)
            gradient.block_until_ready()  # both come from one program
            return value, gradient

        return run

    ways = {"ce": {"plain": ce, "optax": ce_optax}, "bce": {"plain": bce, "optax": bce_optax}}[op]
    return {way: loss_and_gradient(loss) for way, loss in ways.items()}


FRAMEWORKS = {"torch": torch_ways, "jax": jax_ways}
LABELS = {"xent": "xent", "torch": "PyTorch", "jax": "JAX"}


def measure(xent: Xent, frameworks: list[str], case: Case, seconds: float) -> dict[str, tuple[float, str]]:
    """Nanoseconds a call of xent and of the fastest way of each framework, and which way that is."""
    x, targets = tables(case)
    expected = exact(case.op, x, targets)
    call, result = xent_call(xent, case.op, x, targets)
    check("xent", case, result, expected, targets)
    contenders: dict[str, Callable[[], object]] = {"xent ": call}
    for framework in frameworks:
        for way, run in FRAMEWORKS[framework](case.op, x, targets).items():
            check(f"{framework} {way}", case, run(), expected, targets)
            contenders[f"{framework} {way}"] = run
    times = take_turns(contenders, seconds)
    return {
        framework: min((ns, name.partition(" ")[2]) for name, ns in times.items() if name.startswith(f"{framework} "))
        for framework in ["xent", *frameworks]
    }


def single_thread(frameworks: list[str]) -> None:
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if "torch" in frameworks:
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)


def main() -> int:
    parser = argparse.ArgumentParser(description="xent against PyTorch and JAX on the CPU")
    parser.add_argument("--only", choices=list(FRAMEWORKS), help="compare with this framework alone")
    parser.add_argument("--seconds", type=float, default=2, help="for each line of the table (default: 2)")
    arguments = parser.parse_args()
    frameworks = [arguments.only] if arguments.only else list(FRAMEWORKS)
    missing = [framework for framework in frameworks if find_spec(framework) is None]
    if missing:
        others = "".join(f", or --only {framework}" for framework in FRAMEWORKS if find_spec(framework))
        sys.exit(f"missing: pip install {' '.join(missing)}{others}")

    xent = Xent(build())
    print(f"{cpu()}, {pin()}")
    single_thread(frameworks)
    print(", ".join(f"{package} {version(package)}" for package in ("numpy", *frameworks)), "- one thread each")
    flags = os.environ.get("RUSTFLAGS")
    print(f"xent backend: {xent.backend}" + (f", RUSTFLAGS {flags}" if flags else ""))
    smallest = measure(xent, frameworks, Case("ce", 1, 2), arguments.seconds)
    costs = [f"{label} {smallest[who][0] / 1000:.2f} us" for who, label in LABELS.items() if who in smallest]
    print("loss and gradient of 1x2:", ", ".join(costs), "\n")

    header = "".join(f"{LABELS[framework] + ' / xent':>16}" for framework in frameworks)
    print(f"{'op':<12} {'shape':>9}{'xent ns/element':>17}{header}   fastest way")
    bars = []
    for case in CASES:
        times = measure(xent, frameworks, case, arguments.seconds)
        ns = times["xent"][0]
        ratios = {framework: times[framework][0] / ns for framework in frameworks}
        columns = "".join(f"{ratio:>16.2f}" for ratio in ratios.values())
        ways = ", ".join(times[framework][1] for framework in frameworks)
        print(f"{case}{ns / (case.rows * case.classes):>17.3f}{columns}   {ways}", flush=True)
        for framework, bar in zip(FRAMEWORKS, case.bars or (), strict=bool(case.bars)):
            if framework in ratios:
                bars.append((case, framework, ratios[framework], bar))

    print("\nloss and gradient against the bars")
    for case, framework, ratio, bar in bars:
        verdict = "ok" if ratio >= bar else "MISSED"
        print(f"{case}  {LABELS[framework]:<8}{ratio:>7.2f}x  at least {bar:>2}x  {verdict}")
    return int(any(ratio < bar for *_, ratio, bar in bars))


if __name__ == "__main__":
    sys.exit(main())

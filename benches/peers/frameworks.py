# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch", "jax", "ai-edge-litert"]
# ///
"""xent against PyTorch, JAX and XNNPACK on the CPU: the same shapes, the same data, one thread each, in one run.

    python3 -m venv venv && venv/bin/pip install numpy torch jax ai-edge-litert
    venv/bin/python benches/peers/frameworks.py [--only torch | jax | xnnpack] [--seconds 2]

or `uv run benches/peers/frameworks.py`. cargo must be on the path. On x86-64 Linux the torch package pulls GPU
libraries, without which it does not load: 6 GB on disk in all. A CPU-only build of the same version does as well; with
`--only jax`, numpy and jax are enough, 0.6 GB, and with `--only xnnpack`, numpy and ai-edge-litert.

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
- XNNPACK is what LiteRT (TensorFlow Lite) runs a model of one operator on, made here; it is asked whether it did. Logits
  are in its tensor before the time is taken. It has no losses, and log-softmax is not among its operators.
- The contenders take turns, every other round backwards, and start with another one each two rounds. In a turn each
  makes one call that is not counted, then as many as take 0.2 ms. The smallest time of all rounds counts.
- Calling is counted against everyone. What it costs is printed: softmax, and a loss and gradient, of 1x2 logits; xent's
  through ctypes.

Exit status: 1 where a bar is missed, a package is missing or a result is wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from timing import Xent, buffer, build, cpu, pin, take_turns

try:
    import numpy as np
except ImportError:
    sys.exit("missing: pip install numpy torch jax ai-edge-litert")

Run = Callable[[], Iterable[Any]]  # returns the activation, or the loss and its gradient


@dataclass(frozen=True)
class Case:
    op: str
    rows: int
    classes: int
    bars: tuple[float, float] | tuple[()] = ()  # times faster than PyTorch, than JAX

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


def check(name: str, case: Case, got: Iterable[Any], expected: Sequence[np.ndarray], targets: np.ndarray) -> None:
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


def xnnpack_ways(op: str, logits: np.ndarray, _: np.ndarray) -> dict[str, Run]:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter
    from flatbuffers import Builder

    operators = {"exp": "EXP", "sigmoid": "LOGISTIC", "softmax": "SOFTMAX"}
    if op not in operators:
        return {}
    code, operator, graph, model = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, operators[op])
    operator.inputs, operator.outputs = graph.inputs, graph.outputs = [0], [1]
    if op == "softmax":
        operator.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
        operator.builtinOptions = schema.SoftmaxOptionsT()
        operator.builtinOptions.beta = 1.0
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for tensor in graph.tensors:
        tensor.shape, tensor.type = list(logits.shape), schema.TensorType.FLOAT32
    graph.operators = [operator]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, logits)
    if all(node["op_name"] != "DELEGATE" for node in interpreter._get_ops_details()):
        sys.exit(f"{op}: LiteRT does not run it on XNNPACK")

    def run() -> Iterable[Any]:
        interpreter.invoke()
        return map(interpreter.get_tensor, [1])  # copied only where it is looked at

    return {"LiteRT": run}


FRAMEWORKS = {"torch": torch_ways, "jax": jax_ways, "xnnpack": xnnpack_ways}
PACKAGES = {"torch": "torch", "jax": "jax", "xnnpack": "ai-edge-litert"}
LABELS = {"xent": "xent", "torch": "PyTorch", "jax": "JAX", "xnnpack": "XNNPACK"}


def measure(xent: Xent, frameworks: list[str], case: Case, seconds: float) -> dict[str, tuple[float, str]]:
    """Nanoseconds a call of xent and of the fastest way of each framework that has one, and which way that is; nothing
    where none has.
    """
    x, targets = tables(case)
    expected = exact(case.op, x, targets)
    call, result = xent_call(xent, case.op, x, targets)
    check("xent", case, result, expected, targets)
    contenders: dict[str, Callable[[], object]] = {"xent ": call}
    for framework in frameworks:
        for way, run in FRAMEWORKS[framework](case.op, x, targets).items():
            check(f"{framework} {way}", case, run(), expected, targets)
            contenders[f"{framework} {way}"] = run
    if len(contenders) == 1:
        return {}
    times = take_turns(contenders, seconds)
    fastest: dict[str, tuple[float, str]] = {}
    for name, ns in times.items():
        framework, _, way = name.partition(" ")
        fastest[framework] = min(fastest.get(framework, (math.inf, "")), (ns, way))
    return fastest


def single_thread(frameworks: list[str]) -> None:
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if "torch" in frameworks:
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)


def main() -> int:
    parser = argparse.ArgumentParser(description="xent against PyTorch, JAX and XNNPACK on the CPU")
    parser.add_argument("--only", choices=list(FRAMEWORKS), help="compare with this framework alone")
    parser.add_argument("--seconds", type=float, default=2, help="for each line of the table (default: 2)")
    arguments = parser.parse_args()
    frameworks = [arguments.only] if arguments.only else list(FRAMEWORKS)
    missing = [framework for framework in frameworks if find_spec(PACKAGES[framework].replace("-", "_")) is None]
    if missing:
        others = "".join(f", or --only {framework}" for framework in FRAMEWORKS if framework not in missing)
        sys.exit(f"missing: pip install {' '.join(PACKAGES[framework] for framework in missing)}{others}")

    xent = Xent(build())
    print(f"{cpu()}, {pin()}")
    single_thread(frameworks)
    packages = ("numpy", *(PACKAGES[framework] for framework in frameworks))
    print(", ".join(f"{package} {version(package)}" for package in packages), "- one thread each")
    flags = os.environ.get("RUSTFLAGS")
    print(f"xent backend: {xent.backend}" + (f", RUSTFLAGS {flags}" if flags else ""))
    for op, name in (("softmax", "softmax"), ("ce", "loss and gradient")):
        if smallest := measure(xent, frameworks, Case(op, 1, 2), arguments.seconds):
            calls = (f"{LABELS[who]} {ns / 1000:.2f} us" for who, (ns, _) in smallest.items())
            print(f"{name} of 1x2:", ", ".join(calls))
    print()

    header = "".join(f"{LABELS[framework] + ' / xent':>16}" for framework in frameworks)
    print(f"{'op':<12} {'shape':>9}{'xent ns/element':>17}{header}   fastest way")
    bars = []
    for case in CASES:
        times = measure(xent, frameworks, case, arguments.seconds)
        if not times:
            continue
        ns = times["xent"][0]
        ratios = {framework: times[framework][0] / ns for framework in frameworks if framework in times}
        columns = "".join(f"{ratios[name]:>16.2f}" if name in ratios else " " * 16 for name in frameworks)
        ways = ", ".join(times[framework][1] for framework in ratios)
        print(f"{case}{ns / (case.rows * case.classes):>17.3f}{columns}   {ways}", flush=True)
        for framework, bar in zip(("torch", "jax"), case.bars, strict=bool(case.bars)):
            if framework in ratios:
                bars.append((case, framework, ratios[framework], bar))

    if bars:
        print("\nloss and gradient against the bars")
    for case, framework, ratio, bar in bars:
        verdict = "ok" if ratio >= bar else "MISSED"
        print(f"{case}  {LABELS[framework]:<8}{ratio:>7.2f}x  at least {bar:>2}x  {verdict}")
    return int(any(ratio < bar for *_, ratio, bar in bars))


if __name__ == "__main__":
    sys.exit(main())

"""What frameworks.py and builds.py share: building xent's C functions, calling them, and timing contenders in turns.

Standard library only.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter, perf_counter_ns

HERE = Path(__file__).resolve().parent
BATCH_NS = 200_000

Buffer = ctypes.Array  # of one C type, aligned to a cache line


def build(*cargo: str, package: Path = HERE, **env: str) -> Path:
    """Builds the cdylib of the package with these arguments and environment variables more; its path."""
    command = ["cargo", "build", "--release", "--lib", "--manifest-path", str(package / "Cargo.toml")]
    command += ["--message-format=json-render-diagnostics", *cargo]
    run = subprocess.run(command, env=os.environ | env, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        raise SystemExit(run.returncode)
    for message in map(json.loads, run.stdout.splitlines()):
        if message["reason"] == "compiler-artifact" and "cdylib" in message["target"]["kind"]:
            return Path(message["filenames"][0])
    raise SystemExit("cargo built no cdylib")


class Xent:
    """The C functions of one build."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.library.xent_backend.restype = ctypes.c_char_p

    @property
    def backend(self) -> str:
        return self.library.xent_backend().decode()

    def force(self, backend: str) -> bool:
        """Makes it use this backend; whether there is one."""
        return self.library.xent_force_backend(backend.encode()) == 0

    def bind(self, function: str, buffers: Iterable[Buffer], sizes: Iterable[int], *loss: Buffer) -> Callable[[], int]:
        """The function with its arguments, converted once and kept alive."""
        pointers, losses = map(ctypes.byref, buffers), map(ctypes.byref, loss)
        call = partial(self.library[function], *pointers, *map(ctypes.c_size_t, sizes), *losses)
        if call() != 0:
            raise SystemExit(f"{function} refuses its arguments")
        return call

    def bind_nothing(self, function: str, arguments: int) -> Callable[[], int]:
        """A call of the function that returns at once: what ctypes costs."""
        call = partial(self.library[function], *[ctypes.c_void_p(None)] * arguments)
        assert call() != 0
        return call


def buffer(ctype: type[ctypes._SimpleCData], count: int) -> Buffer:
    """Zeros, aligned to 64 bytes, as the tensors of the frameworks are."""
    raw = (ctypes.c_char * (count * ctypes.sizeof(ctype) + 64))()
    return (ctype * count).from_buffer(raw, -ctypes.addressof(raw) % 64)


def pin() -> str:
    """Puts this thread, and those it starts from now on, on one core."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def cpu() -> str:
    """The model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def take_turns(contenders: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Nanoseconds a call: the smallest of many rounds.

    Every other round goes backwards, and each two start with another contender: on a busy machine a round may last as
    long as a time slice, and the same contenders would be interrupted each time.
    """
    calls = {}
    for name, run in contenders.items():
        once = min(batch(run, 1) for _ in range(3))
        calls[name] = max(1, round(BATCH_NS / once))
    best = dict.fromkeys(contenders, float("inf"))
    names = list(contenders)
    gc.collect()
    gc.disable()
    end = perf_counter() + seconds
    rounds = 0
    while rounds < 10 or perf_counter() < end:
        first = rounds // 2 % len(names)
        order = names[first:] + names[:first]
        for name in order if rounds % 2 == 0 else reversed(order):
            best[name] = min(best[name], batch(contenders[name], calls[name]))
        rounds += 1
    gc.enable()
    return best


def batch(run: Callable[[], object], calls: int) -> float:
    """Nanoseconds a call. The first call is not counted: it brings the data back into the caches."""
    run()
    start = perf_counter_ns()
    for _ in range(calls):
        run()
    return (perf_counter_ns() - start) / calls

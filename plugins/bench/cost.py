"""What a piece of work costs: seconds and peak memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_MIB = 2**20
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Filled in when the `with` ends; memory in MiB."""

    seconds: float = 0.0
    memory: float = 0.0  # resident on a CPU, allocated on a GPU; models included
    device: str = "cpu"


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Measure what happens inside.

    On Linux the process's high-water mark is set back first; elsewhere memory is the peak since the
    process began.
    """
    cost = Cost(device=str(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESET.exists():
        _RESET.write_text("5")  # proc(5): resets VmHWM
    start = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - start
    cost.memory = peak(device)


def peak(device: torch.device) -> float:
    """Highest memory in MiB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MIB
    if _STATUS.exists():
        return _status("VmHWM")
    if sys.platform == "win32":
        return 0.0
    import resource  # which Windows has not

    scale = _MIB if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def held(device: torch.device) -> float:
    """Memory in use now, in MiB."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / _MIB
    return _status("VmRSS") if _STATUS.exists() else 0.0


def _status(field: str) -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) / 1024

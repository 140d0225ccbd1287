"""What both trainings share: a clock, averaged weights, and checkpoints that cannot break."""

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import locstyle as ls


@dataclass(frozen=True)
class Run:
    """How long, where and on what a training runs."""

    minutes: float
    work: Path  # datasets, latents, checkpoints, logs
    out: Path  # the pipeline folder that receives the weights
    init: Path | None = None  # pipeline folder to start from; None starts from scratch
    device: str = "cpu"
    scenes: int = 9000
    seed: int = 0

    def autocast(self) -> torch.autocast:
        """bfloat16 on CUDA; on the CPUs we measured it is slower than float32."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda")


@dataclass(frozen=True)
class WindowStage:
    """A part of the time: windows of `side` latent pixels, `batch` at a time."""

    until: float  # fraction of the time
    side: int
    batch: int


@dataclass(frozen=True)
class Rates:
    """Learning rate by fraction of the time: a warm-up in steps, a plateau, then half a cosine."""

    peak: float
    plateau: float  # fraction of the time
    floor: float  # fraction of the peak
    warm_up: int = 100  # steps

    def at(self, fraction: float, step: int) -> float:
        fall = max(0.0, fraction - self.plateau) / (1 - self.plateau)
        shape = self.floor + (1 - self.floor) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, fall)))
        return self.peak * shape * min(1.0, (step + 1) / self.warm_up)


@dataclass
class Trainee:
    """Modules being trained with their optimiser, their running average, and the time spent."""

    modules: dict[str, nn.Module]
    rates: Rates
    minutes: float
    decay: float = 0.998  # of the running average
    step: int = 0
    seconds: float = 0.0
    parameters: dict[str, nn.Parameter] = field(init=False)
    average: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = {
            f"{module}.{name}": parameter
            for module, network in self.modules.items()
            for name, parameter in network.named_parameters()
        }
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.optimizer = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=self.rates.peak,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            fused=True,  # 1.5 times the speed of one tensor after the other on two CPU cores
        )
        self._tick = time.monotonic()

    @property
    def fraction(self) -> float:
        """How much of the time is spent, in [0, 1]."""
        now = time.monotonic()
        self.seconds += now - self._tick
        self._tick = now
        return min(1.0, self.seconds / max(60 * self.minutes, 1e-9))

    def learn(self, loss: Tensor) -> None:
        """One optimiser step on `loss`, then follow with the average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates.at(self.fraction, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(self.decay, self.step / (self.step + 12))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), list(self.parameters.values()), 1 - decay
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock for a while."""
        counted = self.seconds + time.monotonic() - self._tick
        try:
            yield
        finally:
            self.seconds, self._tick = counted, time.monotonic()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averaged weights into the modules for a while, with the clock stopped."""
        kept = {name: p.detach().clone() for name, p in self.parameters.items()}
        with self.paused():
            try:
                self._put(self.average)
                yield
            finally:
                self._put(kept)

    def save(self, path: Path) -> None:
        """Write weights, average, optimiser state and clock to one safetensors file."""
        tensors = {f"weight/{name}": p.detach() for name, p in self.parameters.items()}
        tensors |= {f"average/{name}": average for name, average in self.average.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"{key}/{name}"] = value
        meta = {"step": self.step, "seconds": self.seconds}
        write_tensors(path, tensors, {"clock": json.dumps(meta)})

    def load(self, path: Path) -> None:
        """Go on where `save` left off."""
        with safe_open(path, "pt") as file:
            clock = json.loads(file.metadata()["clock"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        self._put({name: tensors[f"weight/{name}"] for name in self.parameters})
        for name, parameter in self.parameters.items():
            self.average[name].copy_(tensors[f"average/{name}"])
            if f"step/{name}" not in tensors:
                continue  # a part of a library's network that nothing here runs
            self.optimizer.state[parameter] = {
                key: tensors[f"{key}/{name}"].to("cpu" if key == "step" else parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
        self.step, self.seconds = clock["step"], clock["seconds"]
        self._tick = time.monotonic()

    def _put(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that is either complete or not there."""
    partial = path.with_name(path.name + ".part")
    save_file({key: value.contiguous() for key, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder` that takes its place when the block ends well.

    Raises:
        OutputError: what is there is no part of a model, so it is somebody's.
    """
    if folder.exists() and any(folder.iterdir()) and not any(folder.glob("*config.json")):
        raise ls.OutputError(
            f"{folder}: holds something else than a part of a model, so it stays; choose another "
            "folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    (partial := beside / "new").mkdir()
    try:
        yield partial
        if folder.exists():
            os.replace(folder, beside / "old")
        os.replace(partial, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def log_line(path: Path, **values: float | list[float]) -> None:
    """Append one JSON line to a log and show it."""
    line = json.dumps(values)
    with path.open("a") as file:
        file.write(line + "\n")
    print(line, flush=True)

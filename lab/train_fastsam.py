"""Training the small FastSAM: ultralytics' own trainer on scenes of the paired world."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from locstyle_plugins.fastsam.checkpoints import SHIPPED, STEM, write_weights
from locstyle_plugins.fastsam.guest import guest

from .segments_data import SIZE, render_data

_LOGGERS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "sync")
_SETTINGS = {
    "task": "segment",
    "imgsz": SIZE,
    "epochs": 1000,  # the time ends it
    "batch": 16,
    "nbs": 16,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "warmup_epochs": 1.0,
    "cos_lr": True,
    "close_mosaic": 2,  # epochs
    # hue and channel order hardly matter for what an object is; sizes vary far more in real photos
    "hsv_h": 0.2,
    "hsv_s": 0.7,
    "hsv_v": 0.45,
    "bgr": 0.2,
    "mosaic": 0.5,
    "scale": 0.6,
    "degrees": 6.0,
    "mask_ratio": 4,
    "overlap_mask": True,
    "cache": "ram",
    "deterministic": False,
    "pretrained": False,
    "plots": False,
    "val": False,
    "patience": 10_000,
    "exist_ok": True,
}
_FINISH = {"mosaic": 0.0, "scale": 0.3, "lr0": 0.001, "warmup_epochs": 0.0, "cos_lr": False}


def train_fastsam(
    work: Path, out: Path, *, minutes: float, scenes: int, device: str, finish: bool = False
) -> None:
    """Render the scenes, train for `minutes`, write `fastsam.safetensors` into `out`.

    The checkpoint of every epoch is in `work/run/weights`; the next call starts from its weights.
    `finish` shows whole scenes only and lets the learning rate fall to nothing: the last minutes.
    """
    data = render_data(work, scenes=scenes)
    with guest():
        from ultralytics import settings
        from ultralytics.models.yolo.segment import SegmentationTrainer

        settings.update(dict.fromkeys(_LOGGERS, False))
        last = work / "run" / "weights" / "last.pt"
        given = _SETTINGS | {
            "model": str(last if last.exists() else SHIPPED / f"{STEM}.yaml"),
            "pretrained": last.exists(),
            "data": str(data.resolve()),
            "time": minutes / 60,
            "device": device,
            "project": str(work.resolve()),
            "name": "run",
        }
        trainer = SegmentationTrainer(overrides=given | (_FINISH if finish else {}))
        trainer.add_callback("on_train_epoch_end", _report)
        if finish:
            trainer.add_callback("on_train_batch_start", _cool)
        trainer.train()
        how = {"scenes": str(scenes), "origin": "the paired world of locstyle, no other pictures"}
        write_weights(out, trainer.ema.ema, how)


def _cool(trainer: Any) -> None:
    """By the clock: ultralytics' own schedules fall once an epoch, and an epoch may be all."""
    left = max(0.0, 1 - (time.time() - trainer.train_time_start) / (trainer.args.time * 3600))
    for group in trainer.optimizer.param_groups:
        group["lr"] = trainer.args.lr0 * left


def _report(trainer: Any) -> None:  # ultralytics' trainer
    losses = " ".join(f"{name} {float(value):.3f}" for name, value in trainer.tloss.items())
    print(f"{datetime.now(UTC):%H:%M:%S} epoch {trainer.epoch + 1} {losses}", flush=True)

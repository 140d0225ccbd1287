"""Training the small FastSAM: ultralytics' own trainer on scenes of the paired world."""

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


def train_fastsam(work: Path, out: Path, *, minutes: float, scenes: int, device: str) -> None:
    """Render the scenes, train for `minutes`, write `fastsam.safetensors` into `out`.

    The checkpoint of every epoch is in `work/run/weights`. A training that was interrupted starts
    from its weights, with a schedule of its own.
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
        trainer = SegmentationTrainer(overrides=given)
        trainer.add_callback("on_train_epoch_end", _report)
        trainer.train()
        write_weights(out, trainer.ema.ema, {"scenes": str(scenes), "minutes": f"{minutes:g}"})


def _report(trainer: Any) -> None:  # ultralytics' trainer
    losses = " ".join(f"{name} {float(value):.3f}" for name, value in trainer.tloss.items())
    print(f"{datetime.now(UTC):%H:%M:%S} epoch {trainer.epoch + 1} {losses}", flush=True)

"""Options that all style encoders share which learn by gradient. Light: plugins inherit them."""

from __future__ import annotations

from dataclasses import dataclass

from locstyle.errors import RecipeError

_BATCH, _CROPS, _SIDE = 1024, 100_000, 8192  # what anybody's memory holds


@dataclass(frozen=True)
class Learning:
    """Options of a style encoder that learns by gradient; inherit them and add your own.

    Raises:
        RecipeError: no batch, fewer than no crops, or a side that is none.
    """

    steps: int = 300  # of training
    lr: float = 2e-3  # learning rate
    batch: int = 4  # pictures a step
    crops: int = 64  # random crops made beforehand; 0: whole pictures only
    flips: bool = (
        False  # mirror every other crop, of whole pictures every other draw: directions go
    )
    size: int | None = None  # side of a training picture in pixels; None: the backbone's own,
    # of crops the half
    drawn_at: int | None = None  # side at which edits draw a picture as large as these, in pixels:
    # strokes are learned as large as they are there; None: the backbone's own
    warmup: int = 0  # steps over which the learning rate rises
    decay: float = 0.0  # share of the learning rate lost by the last step
    weight_decay: float = 0.0  # AdamW's
    stratified: bool = True  # spread the timesteps of a batch evenly
    resample: bool = False  # draw the latents from the VAE's posterior anew at every step

    def __post_init__(self) -> None:
        if not (1 <= self.batch <= _BATCH and 0 <= self.crops <= _CROPS):
            raise RecipeError(
                f"options: batch {self.batch}, crops {self.crops}; give 1 to {_BATCH} and 0 to "
                f"{_CROPS}"
            )
        if self.drawn_at is not None and not 8 <= self.drawn_at <= _SIDE:
            raise RecipeError(f"options: drawn_at {self.drawn_at}; give 8 to {_SIDE} pixels")

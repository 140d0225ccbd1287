"""What segmenters, style encoders, fusions and metrics look like from outside; no base class.

A class of any of the four may have a nested frozen dataclass `Options`, passed to its constructor,
and a mapping `PRESETS` of names to such options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from locstyle.bookmark import Bookmark
    from locstyle.engine.backbone import Backbone
    from locstyle.engine.plan import Plan
    from locstyle.engine.progress import OnStep
    from locstyle.engine.scene import Scene
    from locstyle.engine.trajectory import Inversion
    from locstyle.segments import Segment
    from locstyle.style import Style


@dataclass(frozen=True, eq=False)
class Prompt:
    """What to segment; with nothing set, everything.

    Attributes:
        points: (x, y) in photo pixels that must be in it.
        outside: (x, y) in photo pixels that must not.
        boxes: (x0, y0, x1, y1) in photo pixels, the last exclusive, around each part.
        text: what it is, in words.
        scribble: [H, W] int8 of the photo's size: 1 inside, -1 outside, 0 unknown.
    """

    points: tuple[tuple[float, float], ...] = ()
    outside: tuple[tuple[float, float], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    text: str | None = None
    scribble: NDArray[np.int8] | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """What it asks with: of "points", "boxes", "text", "scribble"; else "everything"."""
        asked = {
            "points": bool(self.points or self.outside),
            "boxes": bool(self.boxes),
            "text": self.text is not None,
            "scribble": self.scribble is not None,
        }
        return frozenset(kind for kind, is_asked in asked.items() if is_asked) or _EVERYTHING

    @property
    def everything(self) -> bool:
        """Whether all objects are asked for."""
        return self.kinds == _EVERYTHING


_EVERYTHING = frozenset({"everything"})


class Segmenter(Protocol):
    """Finds objects in a picture.

    `prompts`: the kinds of Prompt it answers; see `Prompt.kinds`. One that computes much once per
    photo may also have `embed(image) -> Embedding`; `locstyle.embedded` takes either.
    """

    prompts: frozenset[str]

    def segment(self, image: Image, prompt: Prompt) -> list[Segment]:
        """Segments of an RGB picture, of its size, best first; everything in the order of
        `order_segments`.

        Raises:
            SegmenterError: the prompt hit nothing, is of a kind not answered, lies outside the
                picture, or weights are missing.
        """
        ...


class Embedding(Protocol):
    """A photo that a segmenter has looked at, ready for many prompts."""

    def segment(self, prompt: Prompt) -> list[Segment]:
        """As `Segmenter.segment`, for the photo it was made of."""
        ...


@dataclass(frozen=True)
class StyleRequest:
    """What a style encoder is asked for, besides the images.

    `prompt` is the trigger the style will answer to; `made_by` is the command that asked, for the
    file. `resume` is a file in which a training keeps how far it got and from which it goes on;
    None keeps nothing. `palette` is what edits take that do not say (`Edit.palette`), "" for
    the colours that are drawn.
    """

    name: str
    prompt: str
    seed: int = 0
    licence: str = ""
    made_by: str = ""
    resume: Path | None = None
    palette: str = ""

    def header(self, **facts: str) -> dict[str, str]:
        """A style's `meta`: `facts` about how it was made, its licence and command; none empty."""
        said = {**facts, "licence": self.licence, "palette": self.palette, "made_by": self.made_by}
        return {key: value for key, value in said.items() if value}

    def keeper(self, *facts: object, images: Sequence[Image]) -> Bookmark | None:
        """The bookmark of the training that `facts` and the pictures decide, beside the seed."""
        if self.resume is None:
            return None
        from locstyle.bookmark import Bookmark

        pixels = [sha256(image.convert("RGB").tobytes()).hexdigest() for image in images]
        sizes = [image.size for image in images]
        return Bookmark.of(self.resume, self.seed, facts, pixels, sizes)


class StyleEncoder(Protocol):
    """Makes a style from pictures, by a forward pass or by training.

    One that takes no longer than reading a file may have `instant = True` on its class; an edit can
    then ask it for the style of a picture, as `ENCODER:PICTURE`.
    """

    makes: frozenset[str]

    def encode(
        self, images: Sequence[Image], backbone: Backbone, request: StyleRequest, on_step: OnStep
    ) -> Style:
        """The style of `images` on `backbone`; raising from `on_step` cancels and leaves no
        trace."""
        ...


class Fusion(Protocol):
    """Decides how regions and styles become one denoising.

    `carries`: the kinds of style it can use. `requires_roles`: the sites a backbone must have.
    `inversion`: how it wants the photo inverted. A fusion that wants another solver or number of
    steps than the usual says so in `sampling`, a Sampling; one that heeds what regions set for
    themselves in `heeds`, a set of "guidance" and "structure"; others refuse it. One that would
    keep more of a face says so in `in_faces`, a structure for regions that show one and say none,
    or None. One that cannot use deltas on every layer names in `sides` the sides of layers it can:
    "image", "text", "none".
    One whose texts must not be longer than others says in how many `windows` a prompt may be.
    One whose options a backbone may not suit has `check(backbone)`, which raises a RecipeError.
    """

    carries: frozenset[str]
    requires_roles: frozenset[str]
    inversion: Inversion

    def plan(self, scene: Scene) -> Plan:
        """The rows, interventions and composition for this scene."""
        ...


class Metric(Protocol):
    """Scores a picture against a reference, as a benchmark does; meant for learned ones.

    `label`: what tables call it. `better`: which way is good. `needs`: what the reference is, the
    region's true rendering, the picture its style was learned from, or the photo before the edit.
    """

    label: str
    better: Literal["higher", "lower"]
    needs: Literal["truth", "style", "photo"]

    def measure(
        self, output: NDArray[np.uint8], reference: NDArray[np.uint8], mask: NDArray[np.bool_]
    ) -> float:
        """The score of `output` [H, W, 3] inside `mask` [H, W]; nan where there is none.

        `reference` [h, w, 3] has the output's size, save for a style picture, which counts whole.

        Raises:
            LocstyleError: weights or packages are missing; names where to get them.
        """
        ...

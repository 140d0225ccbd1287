"""Pictures as styles: nothing is learned, the pictures are carried along.

For fusions that look at the picture itself, such as `magicstyle`, which inverts it beside the
photo. A picture may as well stand directly in a recipe or on the command line; this encoder is for
several pictures as one style, for a part of a picture, and for a file with a name and a licence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image


class ReferenceEncoder:
    """One or more pictures as a style that fits every backbone."""

    makes = frozenset({"reference"})
    instant = True

    @dataclass(frozen=True)
    class Options:
        side: int = 768  # pictures are kept at about this number squared of pixels, or fewer
        area: str | None = None  # a selection on every picture: where to take the style from
        segmenter: str = "classic"  # who finds what the area asks for

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()
        if not 8 <= self.options.side <= 4096:
            raise ls.RecipeError(
                f"style encoder 'reference' options.side: got {self.options.side}; "
                "give a whole number in [8, 4096]"
            )

    def encode(
        self,
        images: Sequence[Image],
        backbone: ls.Backbone,
        request: ls.StyleRequest,
        on_step: ls.OnStep,
    ) -> ls.Style:
        """A style of the pictures themselves; `backbone` is not asked.

        Raises:
            LocstyleError: no picture, or an area that is not there.
        """
        if not images:
            raise ls.StyleError(f"style {request.name!r}: no picture; give one or more")
        photos = [ls.Photo.from_image(image) for image in images]
        areas = [self._area(photo) for photo in photos]
        style = ls.Style.from_pictures(request.name, photos, areas, side=self.options.side)
        meta = request.header(
            trigger=request.prompt,
            encoder=f"reference {ls.__version__}",
            options=json.dumps(asdict(self.options), sort_keys=True),
        )
        return style.with_meta(**meta)

    def _area(self, photo: ls.Photo) -> ls.Mask | None:
        if self.options.area is None:
            return None
        return ls.select_mask(photo, self.options.area, segmenter=self.options.segmenter)


@ls.hookimpl
def register_style_encoders(register: ls.Register) -> None:
    register("reference", ReferenceEncoder)

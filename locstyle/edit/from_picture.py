"""A style written as ENCODER:PICTURE, to be made of the picture when the edit runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

# One letter before a colon is a drive. A file whose own name is like this is written "./a:b.jpg".
_FORM = re.compile(r"([a-z][a-z0-9-]+):(.+)", re.DOTALL)


@dataclass(frozen=True)
class FromPicture:
    """`encoder`: a style encoder's name; `picture`: the file it looks at."""

    encoder: str
    picture: str

    @classmethod
    def read(cls, style: object) -> Self | None:
        """What a style's text asks for; None if it is of another form, or no text."""
        found = _FORM.fullmatch(style) if isinstance(style, str) else None
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.encoder}:{self.picture}"

"""Everything locstyle raises on purpose.

    LocstyleError
    ├─ RecipeError      a request that cannot be run as written: key, value, name, prompt
    │  └─ SelectionError   a selection that cannot be read; shows the character
    ├─ PhotoError       a picture that cannot be read: truncated, empty, too large, unknown format
    ├─ OutputError      a result that cannot be written: path, format, disk
    ├─ MaskError        a mask that is empty, of another size, or not finite
    ├─ SegmenterError   a prompt that hit nothing, or weights that are missing
    │  └─ NothingError     a selection that means nothing on this photo (a MaskError as well)
    ├─ StyleError       a style file that is broken, unsafe, or made for another family
    ├─ BackboneError    model weights that are missing, unreadable or of no known family
    ├─ BusyError        something started in the middle of something else on the same backbone
    ├─ SiteError        a layer that does not exist or cannot be intervened on
    ├─ DenoiseError     numbers that stopped being finite during inversion or denoising
    └─ PluginError      a plugin that failed to load, or returned what cannot be used

A message says where · what we got · what we accept · what to do: lower case, no full stop.
Where in an edit an error or a warning belongs is its `place`, for whoever shows it there.
"""

from __future__ import annotations

import reprlib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Self

_LONGEST = 300  # characters of a value that a message shows
_CONTEXT = 60  # characters of a selection shown to either side of the caret


class _Placed(Exception):
    """A message that may have a place.

    `place` is the path into the recipe of what it is about: "regions[0].style", "feather",
    "fusion.options.guidance", or "output"; None where it is about no part of an edit. The message
    begins with it, or says in other words where it is.
    """

    def __init__(self, message: object = "", *, place: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        self._lead = place  # "" where the message says that itself

    def __str__(self) -> str:
        words = super().__str__()
        return f"{self._lead}: {words}" if self._lead else words


class LocstyleError(_Placed):
    """Base of every error that is the request's, the file's or the plugin's, not a bug of ours.

    `place`: where in an edit it belongs, as a path into the recipe ("regions[0].style"), "output",
    or None.
    """


class LocstyleWarning(_Placed, UserWarning):
    """What still gives the result that was asked, but perhaps not the one that was meant.

    `place`: as that of a LocstyleError.
    """


@contextmanager
def at(place: str | None, lead: str | None = None) -> Iterator[None]:
    """Errors raised inside belong to `place`; a place they have already lies within it.

    Their message begins with it, unless it says in its own words where it is.

    Args:
        place: None leaves theirs, where it has none in an edit.
        lead: what the message begins with instead; "" leaves it as it is.
    """
    try:
        yield
    except LocstyleError as error:
        error._lead = _begin(error, place, lead)
        error.place = _joined(place, error.place)
        raise


def _begin(error: LocstyleError, place: str | None, lead: str | None) -> str | None:
    """What the message is to begin with, "" where it says that itself."""
    before = error._lead
    if lead:
        return f"{lead}: {before}" if before else lead
    says_itself = before == "" or str(error).startswith((f"{place}: ", f"{place} "))
    if lead == "" or (says_itself and not before):
        return before or ""
    return _joined(place, before)


def _joined(outer: str | None, inner: str | None) -> str | None:
    if outer is None or inner is None:
        return outer or inner
    return f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}"


class RecipeError(LocstyleError):
    """A request that cannot be run as written; names the path into the recipe."""


class SelectionError(RecipeError):
    """A selection that cannot be read; its lines are the sentence, the text, and a caret."""

    @classmethod
    def at(cls, position: int, text: str, message: str) -> Self:
        """The error whose caret stands under the character at `position` of `text`."""
        shown = "".join(" " if c.isspace() else c for c in text)
        start = max(0, position - _CONTEXT)
        clipped = ("…" if start else "") + shown[start : position + _CONTEXT]
        clipped += "…" if position + _CONTEXT < len(shown) else ""
        before = ("…" if start else "") + shown[start:position]
        words = message if len(message) <= _LONGEST else message[:_LONGEST] + "…"
        return cls(f"{words}\n  {clipped}\n  {' ' * sum(map(_columns, before))}^")


class PhotoError(LocstyleError):
    """A picture file that cannot be read."""


class OutputError(LocstyleError):
    """A result that cannot be written where it was asked for."""


class MaskError(LocstyleError):
    """A mask that is empty, of another size than its photo, or not finite."""


class SegmenterError(LocstyleError):
    """A segmenter that found nothing for its prompt, or lacks its weights."""


class NothingError(SegmenterError, MaskError):
    """A selection that can be read and means nothing on this photo: it covers no pixel, or nobody
    found what it asks for."""


class StyleError(LocstyleError):
    """A style file that is broken, unsafe to read, or fits another backbone family."""


class BackboneError(LocstyleError):
    """Model weights that are missing, unreadable, or of a family nobody registered."""


class BusyError(LocstyleError):
    """A run or training started in the middle of another, by the same thread on one backbone."""


class SiteError(LocstyleError):
    """A layer address that does not exist, or a layer no intervention can be attached to."""


class DenoiseError(LocstyleError):
    """A latent that stopped being finite; names the phase and the step."""


class PluginError(LocstyleError):
    """A plugin that failed to load, or returned what cannot be used; names it and its
    distribution."""


def shown(value: object) -> str:
    """A value as an error message shows it: its `repr`, cut where it is long, deep or wide."""
    text = _Repr().repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


class _Repr(reprlib.Repr):
    """Values behind aliases are never written out: their number may be astronomical."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 8
        self.maxstring = self.maxother = self.maxlong = 120

    def repr_int(self, x: int, level: int) -> str:
        # Python itself refuses to write out what has more than 4300 digits.
        return super().repr_int(x, level) if x.bit_length() < 2**12 else "a number beyond 10**1232"

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the order of the file, not sorted as `reprlib` does."""
        if level <= 0 and x:
            return "{...}"
        pairs = [f"{self.repr1(k, level - 1)}: {self.repr1(x[k], level - 1)}" for k in list(x)[:8]]
        return f"{{{', '.join(pairs + ['...'] * (len(x) > 8))}}}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The ending of an error message about an unknown name: the nearest one, or all there are."""
    names = sorted(set(known))
    close = get_close_matches(name[:200], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"


def _columns(character: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

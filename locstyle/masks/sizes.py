"""Sizes (height, width): whether two agree, and how people say them."""

from __future__ import annotations

from collections.abc import Sequence

from locstyle.errors import MaskError


def check_size(
    size: tuple[int, ...], wanted: tuple[int, ...], what: str, *, of: str = "the photo"
) -> None:
    """Refuses what has another size than it must have.

    Raises:
        MaskError: names `what` it is, both sizes, and what to do.
    """
    if tuple(size) == tuple(wanted):
        return
    hint = (
        "it looks turned by a quarter"
        if tuple(size) == tuple(wanted)[::-1]
        else "scale one to the other"
    )
    raise MaskError(
        f"{what} is {spoken(size)} but {of} is {spoken(wanted)} (width × height); {hint}"
    )


def spoken(size: Sequence[int]) -> str:
    """A size as width × height."""
    return f"{size[1]} × {size[0]}"

"""Which cross-attentions read what."""

from __future__ import annotations

import locstyle as ls

SEMANTIC = range(4, 9)
"""The layers of the middle, which read content tokens; the rest read style tokens."""


def cross_sites(sites: ls.Sites) -> list[ls.Site]:
    """The cross-attentions from the input to the output, numbered as DEADiff does."""
    order = ("down", "mid", "up")
    return sorted(sites.where(role="cross"), key=lambda site: (order.index(site.stage), site.depth))


def content_sites(sites: ls.Sites) -> list[ls.Site]:
    """Those that read what a picture shows; all others read how it is made."""
    crosses = cross_sites(sites)
    return [crosses[number] for number in SEMANTIC]

"""What an optional part of ours needs, as a line for pip.

The line names the packages themselves: locstyle is on no index, so `locstyle[sam]` could be had
neither from a checkout nor from a wheel.
"""

from __future__ import annotations

import re
from importlib import metadata


def requirements(extra: str) -> list[str]:
    """What our own distribution asks for with that extra, such as "torchvision>=0.21"."""
    asked = (line.partition(";") for line in metadata.requires("locstyle") or [])
    return [
        package.strip()
        for package, _, condition in asked
        if re.search(rf"extra == ['\"]{extra}['\"]", condition)
    ]


def pip_line(extra: str) -> str:
    """`pip install` and the packages of an extra, as a shell takes it."""
    return " ".join(["pip install", *(f"'{package}'" for package in requirements(extra))])

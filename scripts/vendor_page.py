"""Fetches what the page and its tests take from npm, at the versions below, with their licences.

`python scripts/vendor_page.py` needs npm and a network; nobody who installs locstyle does. Each
file gets a first line with its package, version and licence, and bare imports ("preact") become
paths beside it, so that a browser loads them as they lie there, without a bundler.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "plugins" / "page" / "static" / "vendor"
TESTS = ROOT / "tests" / "page" / "vendor"


@dataclass(frozen=True)
class Taken:
    """One file of a package, and where it goes."""

    package: str
    version: str
    licence: str
    file: str
    to: Path


TAKEN = (
    Taken("preact", "11.2.0", "MIT", "dist/preact.mjs", PAGE / "preact.js"),
    Taken("preact", "11.2.0", "MIT", "hooks/dist/hooks.mjs", PAGE / "hooks.js"),
    Taken("@preact/signals-core", "1.14.5", "MIT", "dist/signals-core.mjs", PAGE / "core.js"),
    Taken("@preact/signals", "2.11.4", "MIT", "dist/signals.mjs", PAGE / "signals.js"),
    Taken("htm", "3.1.1", "Apache-2.0", "dist/htm.module.js", PAGE / "htm.js"),
    Taken("axe-core", "4.14.1", "MPL-2.0", "axe.min.js", TESTS / "axe.min.js"),
)
BESIDE = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./core.js",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for one in TAKEN:
            source = unpacked(one, Path(folder))
            text = (source / one.file).read_text("utf-8")
            one.to.parent.mkdir(parents=True, exist_ok=True)
            one.to.write_text(f"/*! {one.package} {one.version}, {one.licence} */\n{beside(text)}")
            licence = next(source.glob("LICENSE*")).read_text("utf-8")
            name = one.package.replace("@", "").replace("/", "-")
            (one.to.parent / f"{name}.LICENSE").write_text(licence)


def unpacked(one: Taken, folder: Path) -> Path:
    """The folder of a package, fetched once."""
    place = folder / one.package.replace("/", "-") / "package"
    if not place.exists():
        what = f"{one.package}@{one.version}"
        packed = subprocess.run(
            ["npm", "pack", "--silent", what],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
            archive.extractall(place.parent, filter="data")
    return place


def beside(text: str) -> str:
    """The module with its bare imports as paths, and without its line for a source map."""
    text = re.sub(r"//# sourceMappingURL=\S+\s*$", "", text)
    bare = "|".join(map(re.escape, BESIDE))
    return re.sub(f'from"({bare})"', lambda m: f'from"{BESIDE[m[1]]}"', text).strip() + "\n"


if __name__ == "__main__":
    main()

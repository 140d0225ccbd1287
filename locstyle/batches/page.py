"""A page of what a batch made: a row a photo, a column a variation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from locstyle.batches.task import Ended
from locstyle.batches.thumbs import keep_thumbnail, thumbnail_of
from locstyle.edit.variation import described
from locstyle.errors import LocstyleError
from locstyle.files import digest_of, is_file, write_atomic

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: 4px; vertical-align: top; text-align: left }
th { position: sticky; top: 0; background: #fff; font-weight: 600 }
img { display: block; max-width: 256px; max-height: 256px; background: #eee }
.bad { max-width: 256px; color: #a00; overflow-wrap: anywhere } .name { color: #666 }
"""


def write_page(path: Path, ended: Sequence[Ended], manifest: Path) -> None:
    """Writes the page; its small pictures lie with the manifest, and it links to the outputs.

    Raises:
        OutputError: it cannot be written.
    """
    write_atomic(path, "".join(_page(path, ended, manifest)).encode("utf-8", "surrogateescape"))


def _page(path: Path, ended: Sequence[Ended], manifest: Path) -> Iterator[str]:
    columns = list(dict.fromkeys(described(one.variation) for one in ended))
    rows: dict[str, dict[str, Ended]] = {}
    for one in ended:
        rows.setdefault(one.photo, {})[described(one.variation)] = one
    yield "<!doctype html><html lang=en><meta charset=utf-8><title>locstyle batch</title>"
    yield f"<style>{_STYLE}</style><p>{escape(_counted(ended))}</p><table><tr><th>photo</th>"
    yield "".join(f"<th>{escape(name or 'result')}</th>" for name in columns) + "</tr>\n"
    for photo, cells in sorted(rows.items()):
        yield f"<tr><td>{_photo(path, photo, manifest)}</td>"
        for name in columns:
            yield f"<td>{_cell(path, cells[name], manifest) if name in cells else ''}</td>"
        yield "</tr>\n"
    yield "</table></html>\n"


def _counted(ended: Iterable[Ended]) -> str:
    counts: dict[str, int] = {}
    for one in ended:
        counts[one.state] = counts.get(one.state, 0) + 1
    return ", ".join(f"{state} {count}" for state, count in sorted(counts.items()))


def _photo(page: Path, photo: str, manifest: Path) -> str:
    digest = digest_of(Path(photo)) if is_file(photo) else ""
    return _picture(page, photo, thumbnail_of(manifest, digest), Path(photo).name)


def _cell(page: Path, one: Ended, manifest: Path) -> str:
    if one.state != "done":
        return f"<div class=bad>{escape(f'{one.state}: {one.error}')}</div>"
    return _picture(page, one.output, thumbnail_of(manifest, one.id), "")


def _picture(page: Path, file: str, small: Path, name: str) -> str:
    """A link to a file with its small picture, which is made where it is missing."""
    label = f"<div class=name>{escape(name)}</div>" if name else ""
    if not is_file(small) and not _made(file, small):
        return f"{label}<a href='{_link(page, Path(file))}'>{escape(file)}</a>"
    image = f"<img loading=lazy src='{_link(page, small)}' alt='{escape(file, quote=True)}'>"
    return f"{label}<a href='{_link(page, Path(file))}'>{image}</a>"


def _made(file: str, small: Path) -> bool:
    from locstyle.photo import Photo

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a photo that was read before
            keep_thumbnail(small, Photo.open(file).srgb)
    except LocstyleError:
        return False
    return True


def _link(page: Path, file: Path) -> str:
    try:
        found = os.path.relpath(str(file), str(page.parent))
    except ValueError:  # another drive
        found = str(file.absolute())
    return quote(found.replace(os.sep, "/"), errors="surrogateescape")

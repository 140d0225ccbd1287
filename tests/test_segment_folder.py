"""What `locstyle segment` leaves in a folder, and what it leaves alone."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from locstyle.errors import OutputError
from locstyle.files import MARKER
from locstyle.photo import Photo
from locstyle.segments import Segment
from locstyle.segments.file import read_segments
from locstyle.segments.folder import check_folder, mask_name, write_folder

SIZE = (20, 30)
MADE_BY = {"name": "bands"}


def bands(count: int) -> list[Segment]:
    insides = np.zeros((count, *SIZE), bool)
    for index, inside in enumerate(insides):
        inside[2 * index : 2 * index + 2] = True
    return [Segment.of(inside) for inside in insides]


@pytest.fixture
def photo():
    return Photo.from_image(Image.new("RGB", SIZE[::-1], "teal"))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def test_masks_and_list_say_the_same(tmp_path, photo):
    folder = tmp_path / "new" / "folder"
    write_folder(folder, photo, bands(3), MADE_BY)
    assert names(folder) == ["001.png", "002.png", "003.png", "segments.json", "sheet.png"]
    listed = read_segments(folder / "segments.json", SIZE)
    for number, (segment, wanted) in enumerate(zip(listed, bands(3), strict=True), start=1):
        pixels = Photo.open(folder / mask_name(number, 3)).pixels[..., 0]
        assert (pixels == 255 * wanted.inside).all() and segment.counts == wanted.counts


def test_names_sort_by_number_however_many():
    assert mask_name(7, 12) == "007.png" and mask_name(7, 1200) == "0007.png"


def test_an_earlier_run_is_replaced_and_nothing_of_it_is_left(tmp_path, photo):
    (tmp_path / "notes.txt").write_text("mine")
    write_folder(tmp_path, photo, bands(5), MADE_BY)
    write_folder(tmp_path, photo, bands(2), MADE_BY)
    assert names(tmp_path) == ["001.png", "002.png", "notes.txt", "segments.json", "sheet.png"]
    write_folder(tmp_path, photo, bands(2), MADE_BY, masks=False)
    assert names(tmp_path) == ["notes.txt", "segments.json", "sheet.png"]


@pytest.mark.parametrize("name", ["001.png", "1234.png", "sheet.png", "segments.json"])
def test_foreign_files_are_not_overwritten(tmp_path, photo, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match=f"{name}: is not as .* choose another folder"):
        write_folder(tmp_path, photo, bands(1), MADE_BY)
    assert (tmp_path / name).read_text() == "{}" and names(tmp_path) == [name]


def test_a_mask_painted_on_since_is_not_overwritten(tmp_path, photo):
    write_folder(tmp_path, photo, bands(2), MADE_BY)
    assert len(check_folder(tmp_path)) == 4
    Image.new("L", SIZE[::-1], 255).save(tmp_path / "002.png")
    with pytest.raises(OutputError, match=r"002\.png"):
        check_folder(tmp_path)


def test_a_list_with_labels_of_ones_own_is_not_overwritten(tmp_path, photo):
    write_folder(tmp_path, photo, bands(2), MADE_BY)
    path = tmp_path / "segments.json"
    edited = path.read_text("utf-8").replace('"score": null', '"score": null, "category_name": "x"')
    path.write_text(edited, "utf-8")
    assert [s.label for s in read_segments(path, SIZE)] == ["x", "x"]
    with pytest.raises(OutputError, match=r"segments\.json: is not as"):
        write_folder(tmp_path, photo, bands(1), MADE_BY)
    assert path.read_text("utf-8") == edited and len(names(tmp_path)) == 4


def dies_at_renaming(at, work):
    """Whether a process of its own is killed at its `at`-th renaming; otherwise it does `work`."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    rename, left = os.rename, [at]

    def killed(*given):
        left[0] -= 1
        if not left[0]:
            os._exit(9)
        rename(*given)

    os.rename = killed
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("at", [1, 2, 4, 6, 9, 11])
@pytest.mark.parametrize("is_new", [True, False])
def test_killed_at_any_renaming_no_list_names_what_is_not_there(tmp_path, photo, at, is_new):
    """Old, new, or no list; and the next run goes on without complaint."""
    folder = tmp_path / "parts"
    if not is_new:
        write_folder(folder, photo, bands(3), MADE_BY)
    was_killed = dies_at_renaming(at, lambda: write_folder(folder, photo, bands(5), MADE_BY))
    if not (folder / "segments.json").exists():
        assert was_killed
        assert is_new == (not folder.exists())
    else:
        listed = read_segments(folder / "segments.json", SIZE)
        masks = [name for name in names(folder) if name[0].isdigit()]
        assert len(listed) in (3, 5) and len(masks) == len(listed)
        for name, segment in zip(masks, listed, strict=True):
            assert (Photo.open(folder / name).pixels[..., 0] == 255 * segment.inside).all()
    write_folder(folder, photo, bands(2), MADE_BY)
    assert names(folder) == ["001.png", "002.png", "segments.json", "sheet.png"]
    assert names(tmp_path) == ["parts"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError("disk full")])
def test_nothing_is_left_of_a_run_that_breaks_off(tmp_path, photo, failure):
    def stop(step):
        raise failure

    def fail(folder):
        with pytest.raises((KeyboardInterrupt, OutputError)):
            write_folder(folder, photo, bands(1), MADE_BY, on_step=stop)

    write_folder(tmp_path / "old", photo, bands(3), MADE_BY)
    fail(tmp_path / "old")
    fail(tmp_path / "new")
    assert names(tmp_path) == ["old"] and len(check_folder(tmp_path / "old")) == 5


@pytest.mark.parametrize("at", [1, 2, 5, 6, 10])
def test_an_exchange_that_fails_leaves_the_old_folder(tmp_path, photo, monkeypatch, at):
    write_folder(tmp_path, photo, bands(3), MADE_BY)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    rename, left = os.rename, [at]

    def fail(*given):
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        rename(*given)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with pytest.raises(OutputError, match="No space left"):
            write_folder(tmp_path, photo, bands(4), MADE_BY)
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    write_folder(tmp_path, photo, bands(1), MADE_BY)


def test_a_file_is_no_folder(tmp_path, photo):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        check_folder(tmp_path / "out")

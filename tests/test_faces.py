"""A region that shows a face keeps more of the photo, where nobody says how much."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
from locstyle_plugins.singlepass import IN_FACES, SinglePass

import locstyle as ls
from locstyle.cli.report import region_lines
from locstyle.job.faces import shows_face
from locstyle.job.resolve import Job, resolve
from locstyle.masks import Mask
from locstyle.plugin.host import Host
from locstyle.testing import random_style, tiny_backbone

OUTLINE = "lasso:175,100;190,72;224,62;258,74;275,104;274,145;258,178;226,193;194,180;177,148"
CENTRE = (225, 128)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """Eileen Collins, 512 x 512: looks at the camera."""
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def outlined(astronaut: np.ndarray) -> np.ndarray:
    mask = ls.select_mask(ls.Photo.from_image(astronaut), OUTLINE)
    return np.asarray(mask.values, np.float32)


def scaled(mask: np.ndarray, times: float) -> np.ndarray:
    x, y = CENTRE
    matrix = np.array([[times, 0, x * (1 - times)], [0, times, y * (1 - times)]])
    return cv2.warpAffine(mask, matrix, mask.shape[::-1])


@pytest.mark.parametrize("times", [0.9, 1.0, 1.25, 1.4])
def test_an_outlined_face_is_one_however_loosely(
    astronaut: np.ndarray, outlined: np.ndarray, times: float
) -> None:
    assert shows_face(ls.Photo.from_image(astronaut), Mask.from_image(scaled(outlined, times)))


def test_a_person_a_box_of_background_and_a_speck_are_none(astronaut: np.ndarray) -> None:
    photo, size = ls.Photo.from_image(astronaut), astronaut.shape[:2]
    for box in ((0, 0, 512, 512), (380, 40, 480, 180), (215, 100, 235, 120)):
        assert not shows_face(photo, Mask.box(box, size))


@pytest.mark.parametrize("make", [
    lambda rgb: rgb.mean(-1).astype(np.uint8),
    lambda rgb: rgb.astype(np.uint16) * 257,
    lambda rgb: np.concatenate([rgb, np.full_like(rgb[..., :1], 9)], -1),
], ids=["grey", "16 bits", "alpha"])  # fmt: skip
def test_it_is_one_in_every_kind_of_photo(make, astronaut, outlined) -> None:
    assert shows_face(ls.Photo.from_image(make(astronaut)), Mask.from_image(outlined))


def test_it_is_one_at_every_size(astronaut: np.ndarray, outlined: np.ndarray) -> None:
    for side in (256, 4096):
        photo = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(outlined, (side, side), interpolation=cv2.INTER_NEAREST)
        assert shows_face(ls.Photo.from_image(photo), Mask.from_image(mask)), side


def resolved(host: Host, photo: np.ndarray, *regions: ls.Region, **options: object) -> Job:
    fusing = ls.Fusing("singlepass", options=options)
    return resolve(ls.Edit(photo, regions, fusion=fusing), tiny_backbone(), host)


def test_it_gets_the_fusions_structure_and_the_recipe_says_so(plugin_host, astronaut) -> None:
    style = random_style(tiny_backbone(), 1)
    face, rest = ls.Region(OUTLINE, style), ls.Region("rest", style)
    job = resolved(plugin_host, astronaut, face, rest)
    assert [one.structure for one in job.edit.regions] == [IN_FACES, None]
    assert job.faces == {0}
    again = resolve(job.edit, tiny_backbone(), plugin_host)
    assert again.edit.regions == job.edit.regions
    assert again.edit.frames == job.edit.frames


def test_it_is_drawn_finer_in_a_frame_of_its_own(plugin_host, astronaut) -> None:
    style = random_style(tiny_backbone(), 1)
    face, hair = ls.Region(OUTLINE, style), ls.Region("box:150,20,300,70", style)
    job = resolved(plugin_host, astronaut, face, hair)
    plain = resolved(plugin_host, astronaut, replace(face, structure=IN_FACES), hair)
    drawn, usual = (
        next(frame for frame in one.frames if 0 in frame.regions) for one in (job, plain)
    )
    assert drawn.regions == (0,)
    assert drawn.canvas.scale > 1.2 * usual.canvas.scale
    assert drawn.canvas.scale == pytest.approx(job.edit.regions[0].detail, rel=0.05)


@pytest.mark.parametrize("said", [{"detail": 1.0}, {"size": 64}])
def test_whoever_says_how_finely_gets_that(said, plugin_host, astronaut) -> None:
    region = ls.Region(OUTLINE, random_style(tiny_backbone(), 1))
    job = resolve(ls.Edit(astronaut, (region,), **said), tiny_backbone(), plugin_host)
    assert job.faces == {0} and job.edit.regions[0].detail is None


def test_the_report_does_not_blame_the_face_for_a_detail_somebody_said(
    plugin_host, astronaut
) -> None:
    face = ls.Region(OUTLINE, random_style(tiny_backbone(), 1), detail=0.2)
    (line,) = region_lines(resolved(plugin_host, astronaut, face))
    assert line.endswith("; a face, so structure 0.6, drawn at detail 0.2")


def test_whoever_says_a_structure_gets_it(plugin_host, astronaut) -> None:
    style = random_style(tiny_backbone(), 1)
    own = resolved(plugin_host, astronaut, ls.Region(OUTLINE, style, structure=0.1))
    assert own.edit.regions[0].structure == 0.1 and not own.faces
    common = resolved(plugin_host, astronaut, ls.Region(OUTLINE, style), structure=0.1)
    assert common.edit.regions[0].structure is None and not common.faces


def test_a_face_whose_style_is_off_costs_nothing_more(plugin_host, astronaut) -> None:
    off = ls.Region(OUTLINE, random_style(tiny_backbone(), 1), strength=0.0)
    job = resolved(plugin_host, astronaut, off)
    assert not job.faces and job.edit.regions[0].detail is None


def test_a_fusion_that_says_nonsense_of_faces_is_named(plugin_host, astronaut) -> None:
    class Odd:
        @ls.hookimpl
        def register_fusions(self, register: ls.Register) -> None:
            register("odd", type("Nonsense", (SinglePass,), {"in_faces": 6}))

    edit = ls.Edit(
        astronaut, (ls.Region(OUTLINE, random_style(tiny_backbone(), 1)),), fusion=ls.Fusing("odd")
    )
    with plugin_host.temporarily(Odd(), name="odd"):
        with pytest.raises(ls.PluginError, match=r"fusion 'odd': in_faces: got 6; .*1"):
            resolve(edit, tiny_backbone(), plugin_host)

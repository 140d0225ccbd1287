"""The whole street on the tiny backbone: real files in, real files out, nothing changed that must
not."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from profiles import SRGB, WIDE, converted, muted

from locstyle import (
    Edit,
    Editor,
    Fusing,
    Host,
    Mask,
    MaskError,
    Photo,
    Prompt,
    RecipeError,
    Region,
    Segment,
    Step,
    Style,
    StyleError,
    hookimpl,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.photo import read_text
from locstyle.testing import random_style

FUSIONS = ["diffstyler", "singlepass"]


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> Editor:
    return Editor(backbone, Host())


@pytest.fixture
def folder(tmp_path: Path, backbone: UNetBackbone) -> Path:
    """A photo of odd size with alpha, a mask, a soft mask of the other half, two styles."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (45, 61, 4), dtype=np.uint8)).save(tmp_path / "photo.png")
    left = np.zeros((45, 61), np.uint8)
    left[8:40, 5:25] = 255
    Image.fromarray(left).save(tmp_path / "left.png")
    for seed in (1, 2):
        random_style(backbone, seed).save(tmp_path / f"s{seed}.safetensors")
    return tmp_path


def edit_of(folder: Path, **given: object) -> Edit:
    regions = (
        Region(str(folder / "left.png"), folder / "s1.safetensors", prompt="one"),
        Region("box:30,10,50,45", folder / "s2.safetensors", strength=0.7),
    )
    settings: dict[str, object] = {"image": folder / "photo.png", "regions": regions, "steps": 2}
    settings |= {"size": "native"}  # one frame; tests/test_drawing.py has several
    return Edit(**(settings | given))  # type: ignore[arg-type]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_regions_change_and_everything_else_is_the_files_own(
    editor: Editor, folder: Path, fusion: str
) -> None:
    result = editor.run(edit_of(folder, fusion=Fusing(fusion)))
    before, after = (
        np.asarray(image) for image in (Image.open(folder / "photo.png"), result.image)
    )
    assert after.shape == before.shape == (45, 61, 4)
    assert np.array_equal(after[..., 3], before[..., 3])
    changed = (after != before).any(-1)
    far = np.ones((45, 61), bool)  # two pixels of paste feather around both regions
    far[6:42, 3:27] = far[8:45, 28:52] = False
    assert not changed[far].any()
    assert changed[10:38, 7:23].mean() > 0.9
    assert changed[12:43, 32:48].mean() > 0.9
    assert result.report.outside_identical == 1.0
    assert result.report.coverage == pytest.approx((32 * 20 / 2745, 35 * 20 / 2745))
    for shown in (result, result.partition, result.masks[0]):  # in a notebook
        assert shown._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_edit_leaves_the_backbone_as_it_was(editor: Editor, folder: Path, fusion: str) -> None:
    backbone = editor.backbone
    assert isinstance(backbone, UNetBackbone)
    before, processors = backbone.weights_digest(), dict(backbone.unet.attn_processors)

    def stop(step: Step) -> None:
        if step.phase == "denoise":
            raise KeyboardInterrupt

    editor.run(edit_of(folder, fusion=Fusing(fusion)))
    with pytest.raises(KeyboardInterrupt):
        editor.run(edit_of(folder, fusion=Fusing(fusion)), on_step=stop)
    assert backbone.weights_digest() == before
    assert backbone.unet.attn_processors == processors
    assert not [m for m in backbone.unet.modules() if m._forward_hooks]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_same_edit_gives_the_same_pixels(editor: Editor, folder: Path, fusion: str) -> None:
    one, two = (editor.run(edit_of(folder, fusion=Fusing(fusion))) for _ in range(2))
    assert torch.equal(one.latent, two.latent)
    assert np.array_equal(one.photo.pixels, two.photo.pixels)


def test_a_resolved_job_runs_as_its_edit_does(editor: Editor, folder: Path) -> None:
    edit = edit_of(folder, regions=(*edit_of(folder).regions, Region("rest", prompt="all else")))
    job = editor.resolve(edit)
    assert job.overlaps() == {}
    assert sum(job.coverage) == pytest.approx(1)
    again, once = editor.run(job), editor.run(edit)
    assert torch.equal(again.latent, once.latent)
    assert again.edit == once.edit
    assert again.report.outside_identical is None


def test_overlaps_are_told_by_pair_and_all_together(editor: Editor, folder: Path) -> None:
    boxes = ("box:0,0,20,40", "box:10,0,30,40", "box:15,0,40,40")
    edit = edit_of(folder, regions=tuple(Region(box, prompt="a") for box in boxes))
    pixels = {pair: share * 45 * 61 for pair, share in editor.resolve(edit).overlaps().items()}
    assert pixels == pytest.approx({(0, 1): 400, (0, 2): 200, (1, 2): 600})
    assert editor.run(edit).report.overlap * 45 * 61 == pytest.approx(800)


def test_rows_of_one_pass_do_not_grow_with_regions(editor: Editor, folder: Path) -> None:
    rows = {}
    for count in (1, 3):
        regions = edit_of(folder).regions[:1] * count
        for fusion in FUSIONS:
            report = editor.run(edit_of(folder, regions=regions, fusion=Fusing(fusion))).report
            rows[fusion, count] = report.rows
            assert report.inversion_rows == 2 * 2  # each step refined once
    assert rows["singlepass", 1] == rows["singlepass", 3]
    assert rows["diffstyler", 3] == rows["diffstyler", 1] + 2 * 2 * 2


def test_the_saved_png_carries_its_recipe(editor: Editor, folder: Path) -> None:
    result = editor.run(edit_of(folder))
    path = result.save(folder / "out.png")
    again = Edit.from_dict(json.loads(read_text(path, "locstyle") or ""))
    assert again.beside(folder) == result.edit
    assert set(again.digests) == {
        "image", "backbone", "machine", "regions[0].mask", "regions[1].mask",
        "regions[0].style", "regions[1].style",
    }  # fmt: skip
    assert np.array_equal(np.asarray(Image.open(path)), result.photo.pixels)


def test_an_edit_of_pictures_in_memory_runs_and_saves_without_a_recipe(
    editor: Editor, folder: Path, backbone: UNetBackbone
) -> None:
    picture = Image.open(folder / "photo.png").convert("RGB")
    region = Region(Mask.box((0, 0, 20, 20), size=(45, 61)), random_style(backbone, 1))
    result = editor.run(Edit(picture, (region,), steps=2))
    assert result.image.size == (61, 45)
    assert read_text(result.save(folder / "out.png"), "locstyle") is None


def test_checking_the_inversion_reports_both_floors(editor: Editor, folder: Path) -> None:
    seen: list[Step] = []
    report = editor.run(edit_of(folder), seen.append, check_inversion=True).report
    assert report.autoencoder_psnr is not None
    assert report.reconstruction_psnr is not None
    assert report.check_rows == 2 and "check" in report.seconds
    assert [s.index for s in seen if s.phase == "check"] == [1, 2]
    plain = editor.run(edit_of(folder)).report
    assert plain.reconstruction_psnr is None
    assert plain.check_rows == 0 and "check" not in plain.seconds
    assert plain.rows == report.rows


def test_reported_seconds_add_up_to_the_wall_time(editor: Editor, folder: Path) -> None:
    fresh, start = Editor(editor.backbone, editor.host), time.perf_counter()
    job = fresh.resolve(edit_of(folder))
    between = time.perf_counter()
    time.sleep(0.2)
    later = time.perf_counter()
    seconds = fresh.run(job, check_inversion=True).report.seconds
    spent = time.perf_counter() - later + between - start
    phases = ["resolve", "invert", "denoise", "decode", "check", "paste", "report"]
    assert list(seconds) == phases
    assert sum(seconds.values()) == pytest.approx(spent, rel=0.2, abs=0.3)


def test_loading_is_in_an_editor_s_first_report(editor: Editor, folder: Path) -> None:
    class Slow:
        @hookimpl
        def register_backbones(self, register: Any) -> None:
            def load(name: str, device: str, dtype: object) -> Any:
                time.sleep(0.2)
                return editor.backbone

            register("slow", load)

    with Host(allow=[]).temporarily(Slow()) as host:
        loaded = Editor.load("slow", host=host)
    loaded.host = editor.host
    first, second = (loaded.run(edit_of(folder)).report.seconds for _ in range(2))
    assert first["load"] >= 0.2 and "load" not in second


def test_progress_names_phase_and_step_and_previews_on_demand(editor: Editor, folder: Path) -> None:
    steps: list[Step] = []
    editor.run(edit_of(folder), on_step=steps.append)
    assert [(s.phase, s.index) for s in steps] == [
        *(("invert", i) for i in (1, 2)),
        *(("denoise", i) for i in (1, 2)),
    ]
    preview = steps[-1].preview
    assert preview is not None
    assert preview().mode == "RGB"


def test_a_region_in_both_fusions_follows_its_window_and_strength(
    editor: Editor, folder: Path
) -> None:
    for fusion in FUSIONS:
        base = edit_of(folder, fusion=Fusing(fusion))
        region = replace(base.regions[0], prompt="one")
        off = replace(base, regions=(replace(region, strength=0.0),))
        never = replace(base, regions=(replace(region, style=None),))
        assert torch.equal(editor.run(off).latent, editor.run(never).latent)
        late = replace(base, regions=(replace(region, window=(0.5, 1.0)),))
        full = replace(base, regions=(region,))
        assert not torch.equal(editor.run(late).latent, editor.run(full).latent)


def test_mistakes_surface_before_any_denoising(editor: Editor, folder: Path) -> None:
    def never(step: Step) -> None:
        raise AssertionError("denoising began")

    base = edit_of(folder)
    one = base.regions[0]
    foreign = Style("alien", "sd1", words={"<alien>": torch.zeros(1, 768)})
    cases: list[tuple[Edit, type[Exception], str]] = [
        (replace(base, fusion=Fusing("difstyler")), RecipeError, "did you mean 'diffstyler'"),
        (replace(base, fusion=Fusing("diffstyler", preset="refrence")), RecipeError, "'reference'"),
        (
            replace(base, fusion=Fusing("diffstyler", options={"guidanc": 3})),
            RecipeError,
            "'guidance'",
        ),
        (
            replace(base, regions=(one, replace(one, mask="box:0,0,0,0"))),
            MaskError,
            r"regions\[1\]\.mask",
        ),
        (
            replace(base, regions=(replace(one, style="no-such-style"),)),
            StyleError,
            r"regions\[0\]\.style: 'no-such-style'",
        ),
        (replace(base, regions=(replace(one, style=foreign),)), RecipeError, "family 'sd1'"),
        (
            replace(base, regions=(replace(one, mask={"segmenter": "fastsan"}),)),
            RecipeError,
            "fastsan",
        ),
    ]
    for edit, kind, message in cases:
        with pytest.raises(kind, match=message):
            editor.run(edit, on_step=never)


def test_a_prompt_too_long_for_the_window_warns_with_what_is_cut(
    editor: Editor, folder: Path
) -> None:
    with pytest.warns(UserWarning, match=r"prompt: longer than the text window; cut: '.*z'"):
        editor.run(edit_of(folder, prompt="abcdefghijklmnopqrstuvwxyz", prompts="plain"))
    with pytest.warns(
        UserWarning, match=r"prompt: longer than 4 times the text window; cut: 'y+zzz"
    ):
        editor.run(edit_of(folder, prompt="y" * 14 * 4 + "yzzz"))


def test_a_segmenter_plugin_makes_the_mask(editor: Editor, folder: Path) -> None:
    seen: list[Prompt] = []

    class Half:
        prompts = frozenset({"points"})

        def segment(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
            seen.append(prompt)
            inside = np.zeros(image.size[::-1], bool)
            inside[:, : image.width // 2] = True
            return [Segment.of(inside)]

    class Plugin:
        @hookimpl
        def register_segmenters(self, register: object) -> None:
            register("half", Half)  # type: ignore[operator]

    region = Region({"segmenter": "half", "points": [[3, 4]]}, folder / "s1.safetensors")
    with editor.host.temporarily(Plugin(), name="half-plugin"):
        result = editor.run(edit_of(folder, regions=(region,)))
    assert [prompt.points for prompt in seen] == [((3.0, 4.0),)]
    assert result.report.coverage == pytest.approx((30 / 61,))


def test_touching_regions_leave_no_gap_for_the_photo_to_shine_through(
    editor: Editor, folder: Path
) -> None:
    size = (45, 61)
    halves = [Mask.box((0, 0, 30, 45), size=size), Mask.box((30, 0, 61, 45), size=size)]
    regions = tuple(Region(mask, folder / "s1.safetensors") for mask in halves)
    result = editor.run(edit_of(folder, regions=regions, feather=5.0))
    assert float(result.partition.outside.max()) == pytest.approx(0, abs=1e-6)


def loosened(fusion: str, fresh: float) -> Fusing:
    if fusion == "singlepass":
        return Fusing(fusion, options={"structure": (1 - fresh) / 2})
    return Fusing(fusion, options={"fresh_noise": fresh})


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_seed_matters_where_fresh_noise_is_asked_for(
    editor: Editor, folder: Path, fusion: str
) -> None:
    latents = {
        (fresh, seed): editor.run(edit_of(folder, seed=seed, fusion=loosened(fusion, fresh))).latent
        for fresh in (0.0, 0.5)
        for seed in (1, 2)
    }
    assert torch.equal(latents[0.0, 1], latents[0.0, 2])
    assert not torch.allclose(latents[0.5, 1], latents[0.5, 2], atol=1e-3)


@pytest.mark.parametrize("name", WIDE)
def test_the_same_scene_in_another_profile_gives_the_same_edit(
    editor: Editor, folder: Path, name: str
) -> None:
    pixels = muted((45, 61))
    other = np.asarray(converted(Image.fromarray(pixels), SRGB, WIDE[name]))
    photos = Photo(pixels), Photo(other.copy(), icc=WIDE[name])
    results = [editor.run(edit_of(folder, image=photo)) for photo in photos]
    inside = (photos[0].pixels != results[0].photo.pixels).any(-1)
    apart = (results[0].photo.rgb() - results[1].photo.rgb()).abs()[:, inside]
    assert float(apart.median()) < 0.01 < float(photos[0].rgb()[:, inside].std())
    numbers = Photo(other.copy())  # the numbers alone mean something else
    wrong = editor.run(edit_of(folder, image=numbers)).photo.rgb()
    apart_if_not = (results[0].photo.rgb() - wrong).abs()[:, inside]
    assert float(apart_if_not.median()) > 2 * float(apart.median())
    changes = [result.report.inside_change for result in results]
    assert changes[1] == pytest.approx(changes[0], rel=0.05)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_photos_smaller_than_the_default_feathers_are_edited(
    editor: Editor, folder: Path, size: tuple[int, int]
) -> None:
    region = Region("all", folder / "s1.safetensors", prompt="one")
    edit = edit_of(folder, image=Photo(muted(size)), regions=(region,))
    assert editor.run(edit).photo.size == size


def test_files_that_go_while_a_run_goes_on_cost_nothing(editor: Editor, folder: Path) -> None:
    """All are read once; the digests are of what was read."""
    runs = {"size": [45, 61], "counts": [300, 200, 2245]}
    listed = {"annotations": [{"id": 1, "segmentation": runs}]}
    (folder / "list.json").write_text(json.dumps(listed))
    edit = edit_of(folder, segments=str(folder / "list.json"))
    edit = replace(edit, regions=(*edit.regions, replace(edit.regions[0], mask="auto:1")))
    wanted = editor.run(edit)
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def gone(step: object) -> None:
        for number, path in enumerate(kept):
            if path.exists():
                path.unlink() if number % 2 else path.write_bytes(b"changed")

    result = editor.run(edit, on_step=gone)
    assert result.edit.digests == wanted.edit.digests and "segments" in result.edit.digests
    assert (result.photo.pixels == wanted.photo.pixels).all()
    assert all(path.read_bytes() != data for path, data in kept.items() if path.exists())

"""Pictures as styles down the whole street: found, inverted once, remembered, replayed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pictures_fusion
import pytest
import torch
from PIL import Image

from locstyle import (
    Edit,
    Editor,
    Fusing,
    Host,
    Mask,
    Photo,
    RecipeError,
    Region,
    Scene,
    Step,
    Style,
    StyleError,
    TrajectoryCache,
)
from locstyle.edit.recipe import to_yaml
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.plan import said
from locstyle.photo import read_text
from locstyle.replay import compare, embedded_edit


@pytest.fixture
def editor(backbone: UNetBackbone) -> Iterator[Editor]:
    with Host().temporarily(pictures_fusion) as host:
        yield Editor(backbone, host)


def painted(path: Path, size: tuple[int, int], seed: int) -> Path:
    draw = np.random.default_rng(seed)
    Image.fromarray(draw.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    painted(tmp_path / "photo.png", (32, 40), 0)
    painted(tmp_path / "one.png", (50, 90), 1)
    painted(tmp_path / "two.png", (40, 40), 2)
    return tmp_path


def edit_of(folder: Path, *styles: object, **given: object) -> Edit:
    boxes = ("box:4,4,16,28", "box:22,4,36,28", "box:0,0,40,3")
    regions = tuple(
        Region(box, folder / style if isinstance(style, str) else style)
        for box, style in zip(boxes, styles, strict=False)
    )
    settings = {"image": folder / "photo.png", "fusion": Fusing("pictures"), "steps": 3}
    return Edit(regions=regions, **(settings | given))  # type: ignore[arg-type]


def scene_of(editor: Editor, edit: Edit) -> Scene:
    job = editor.resolve(edit)
    editor.run(job)
    scene: Scene = job.fusion.scenes[-1]  # type: ignore[attr-defined]
    return scene


# What is run


def test_a_picture_styles_its_region_and_nothing_else(editor: Editor, folder: Path) -> None:
    result = editor.run(edit_of(folder, "one.png"))
    assert result.report.outside_identical == 1
    assert result.report.inside_change > 0.01
    assert result.report.inversion_rows == 2 * 6 and result.report.cached_inversions == 0
    other = editor.run(edit_of(folder, "two.png"))
    assert not torch.equal(result.latent, other.latent)


def test_a_file_of_the_encoder_does_what_the_picture_does(editor: Editor, folder: Path) -> None:
    picture = Photo.open(folder / "one.png")
    Style.from_pictures("mine", [picture]).save(folder / "mine.safetensors")
    latents = [
        editor.run(edit_of(folder, style)).latent
        for style in (
            "one.png",
            "mine.safetensors",
            picture,
            picture.image,
            np.array(picture.image),
        )
    ]
    for latent in latents[1:]:
        assert torch.equal(latent, latents[0])


def test_a_picture_of_two_regions_is_inverted_once(editor: Editor, folder: Path) -> None:
    edit = edit_of(folder, "one.png", "one.png", "two.png")
    scene = scene_of(editor, edit)
    (one,), (again,), (two,) = (region.references for region in scene.regions)
    assert one is again and two is not one
    assert editor.run(edit).report.inversion_rows == 3 * 6
    assert one.trajectory.at(scene.schedule.noisiest).shape == scene.latent.shape


def test_several_pictures_are_one_style(editor: Editor, folder: Path) -> None:
    pictures = [Photo.open(folder / name) for name in ("one.png", "two.png")]
    edit = edit_of(folder, Style.from_pictures("both", pictures), "two.png")
    both, (two,) = (region.references for region in scene_of(editor, edit).regions)
    assert len(both) == 2 and both[1] is two


def test_the_same_picture_with_two_areas_is_two_references(editor: Editor, folder: Path) -> None:
    picture = Photo.open(folder / "two.png")
    left = Mask.box((0, 0, 20, 40), size=(40, 40))
    styles = [Style.from_pictures("s", [picture], [area]) for area in (None, left)]
    (whole,), (part,) = (
        region.references for region in scene_of(editor, edit_of(folder, *styles)).regions
    )
    assert whole is not part and whole.trajectory is part.trajectory
    assert whole.at(4, 4).eq(1).all()
    assert part.at(4, 4)[:, 0].eq(1).all() and part.at(4, 4)[:, 3].eq(0).all()


def test_progress_tells_inversions_as_one_phase(editor: Editor, folder: Path) -> None:
    steps: list[Step] = []
    editor.run(edit_of(folder, "one.png"), on_step=steps.append)
    inverting = [(step.index, step.total) for step in steps if step.phase == "invert"]
    assert inverting == [(i, 6) for i in range(1, 7)]


# What is said


def test_a_fusion_without_pictures_names_those_with(editor: Editor, folder: Path) -> None:
    edit = edit_of(folder, "one.png", fusion=Fusing("diffstyler"))
    with pytest.raises(
        RecipeError, match=r"regions\[0\]\.style: 'one' carries reference"
    ) as raised:
        editor.run(edit)
    assert "fusion 'diffstyler' uses deltas" in str(raised.value)
    assert "--fusion pictures" in str(raised.value)


def test_a_picture_that_cannot_be_read_is_named_with_its_region(
    editor: Editor, folder: Path
) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    (folder / "text.jpg").write_text("no picture")
    Image.new("RGBA", (8, 8)).save(folder / "clear.png")
    for name, message in (
        ("moving.webp", "an animation of 2 frames"),
        ("text.jpg", "not a picture"),
        ("clear.png", "wholly transparent"),
        ("gone.png", "is not a file or a known style"),
    ):
        edit = edit_of(folder, "one.png", name)
        with pytest.raises(StyleError, match=rf"regions\[1\]\.style: .*{name}.*{message}"):
            editor.resolve(edit)
    (folder / "painting.psd").write_bytes(b"8BPS")
    with pytest.raises(StyleError, match=r"a \.safetensors file or a picture \(\.avif, .*'\.psd'"):
        editor.resolve(edit_of(folder, "painting.psd"))


def test_a_misspelt_picture_offers_the_one_beside_it(editor: Editor, folder: Path) -> None:
    painted(folder / "starry-night.JPG", (9, 9), 4)
    with pytest.raises(StyleError) as raised:
        editor.resolve(edit_of(folder, "stary-night.png"))
    assert str(raised.value).endswith(f"did you mean {str(folder / 'starry-night.JPG')!r}?")


def test_a_picture_too_small_to_show_its_texture_warns(editor: Editor, folder: Path) -> None:
    painted(folder / "icon.png", (5, 7), 3)
    with pytest.warns(UserWarning, match=r"regions\[0\]\.style: 7 × 5 pixels, enlarged \d+ times"):
        editor.run(edit_of(folder, "icon.png"))


# What is written


def test_a_recipe_with_a_picture_moves(
    editor: Editor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    edit = edit_of(Path(), "one.png")
    (folder / "recipe.yaml").write_text(to_yaml(edit.to_dict()))
    before = editor.run(edit).latent
    moved = folder / "elsewhere"
    shutil.copytree(folder, moved)
    for name in ("one.png", "photo.png"):
        (folder / name).unlink()
    assert torch.equal(editor.run(Edit.open(moved / "recipe.yaml")).latent, before)


def test_a_finished_picture_replays_and_says_what_changed(editor: Editor, folder: Path) -> None:
    result = editor.run(edit_of(folder, "one.png", "two.png"))
    path = result.save(folder / "out.png")
    edit = embedded_edit(path)
    assert compare(Photo.open(path), edit, editor.run(edit)).describe().startswith("identical")
    assert set(edit.digests) >= {"regions[0].style", "regions[1].style"}
    painted(folder / "one.png", (50, 90), 7)
    outcome = compare(Photo.open(path), edit, editor.run(edit))
    assert not outcome.is_identical and outcome.changed == ("regions[0].style",)


def test_the_recipe_in_a_picture_does_not_grow_with_the_style(editor: Editor, folder: Path) -> None:
    painted(folder / "large.png", (600, 800), 5)
    path = editor.run(edit_of(folder, "large.png")).save(folder / "out.png")
    assert len(read_text(path, "locstyle") or "") < 1500
    memory = editor.run(edit_of(folder, Photo.open(folder / "one.png").image))
    assert read_text(memory.save(folder / "memory.png"), "locstyle") is None


def test_the_files_of_an_edit_name_its_pictures(folder: Path) -> None:
    edit = edit_of(folder, "one.png", "two.png")
    assert edit.files[1:] == [str(folder / "one.png"), str(folder / "two.png")]
    assert "ukiyo-e" not in Edit("photo.png", (Region("all", "ukiyo-e"),)).files


# What is remembered


def test_a_second_run_inverts_nothing_and_gives_the_same_bits(
    editor: Editor, folder: Path, tmp_path: Path
) -> None:
    plain = editor.run(edit_of(folder, "one.png"))
    kept = Editor(editor.backbone, editor.host, cache=TrajectoryCache(tmp_path / "cache"))
    first, second = (kept.run(edit_of(folder, "one.png")) for _ in range(2))
    assert (first.report.inversion_rows, first.report.cached_inversions) == (12, 0)
    assert (second.report.inversion_rows, second.report.cached_inversions) == (0, 2)
    for result in (first, second):
        assert torch.equal(result.latent, plain.latent)
        assert np.array_equal(result.photo.pixels, plain.photo.pixels)
    another = kept.run(edit_of(folder, "two.png"))
    assert (another.report.inversion_rows, another.report.cached_inversions) == (6, 1)


def test_what_changes_a_trajectory_misses_the_cache(
    editor: Editor, folder: Path, tmp_path: Path
) -> None:
    cache = TrajectoryCache(tmp_path / "cache")
    kept = Editor(editor.backbone, editor.host, cache=cache)
    edit = edit_of(folder, "one.png")
    kept.run(edit)
    for change in ({"steps": 4}, {"size": 40}, {"image": folder / "two.png"}):
        assert kept.run(replace(edit, **change)).report.inversion_rows > 0, change
    for same in ({"seed": 5}, {"prompt": "a"}, {"feather": 9.0}):
        assert kept.run(replace(edit, **same)).report.inversion_rows == 0, same


def test_an_edit_does_not_fail_for_its_cache(editor: Editor, folder: Path) -> None:
    (folder / "file").write_text("in the way")
    kept = Editor(editor.backbone, editor.host, cache=TrajectoryCache(folder / "file"))
    with pytest.warns(UserWarning, match="not kept for later runs") as warned:
        result = kept.run(edit_of(folder, "one.png"))
    assert len(warned) == 1
    assert torch.equal(result.latent, editor.run(edit_of(folder, "one.png")).latent)


def test_the_photo_s_description_is_not_said_of_a_picture(editor: Editor, folder: Path) -> None:
    """It would pull against the picture; a region's own words and a trigger are meant."""
    spoken = Style.from_pictures("spoken", [Image.open(folder / "two.png")])
    edit = edit_of(folder, "one.png", spoken.with_meta(trigger="in ink"), "two.png", prompt="a cat")
    own = replace(edit, regions=(*edit.regions[:2], replace(edit.regions[2], prompt="a dog")))
    texts = [said(region.text, 0) for region in scene_of(editor, own).regions]
    assert [text.prompt for text in texts] == ["", "in ink of a cat", "a dog"]

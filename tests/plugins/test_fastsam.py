"""FastSAM with ultralytics' own code, our weights and tiny random ones."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from locstyle_plugins.fastsam import FastSAM
from locstyle_plugins.fastsam.checkpoints import SHIPPED, find_weights
from locstyle_plugins.fastsam.guest import guest
from locstyle_plugins.mini import WEIGHTS
from locstyle_plugins.world import World, WorldScene
from PIL import Image

import locstyle as ls
from locstyle.testing import check_segmenter

BY_THE_SEA = 240  # a gray house and a green tree; nothing of this world was trained on

# Asked without importing it: a plain import writes a settings file and looks up host names.
needs_ultralytics = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="the extra `fastsam` is not installed"
)


@pytest.fixture(scope="module")
def segmenter() -> FastSAM:
    return FastSAM()


@pytest.fixture(scope="module")
def scene() -> WorldScene:
    return World(1, 256).scene(BY_THE_SEA)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network as ultralytics saves one, a pickle."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    description = yaml.safe_load((SHIPPED / "fastsam.yaml").read_text())
    with guest():
        from ultralytics.nn.tasks import SegmentationModel

        torch.manual_seed(0)
        network = SegmentationModel({**description, "width_multiple": 0.05}, verbose=False)
        torch.save({"model": network, "train_args": {}}, path)
    return path


@needs_ultralytics
@pytest.mark.parametrize("name", ["house", "tree", "water", "sky"])
def test_it_finds_what_the_world_shows(segmenter: FastSAM, scene: WorldScene, name: str) -> None:
    found = segmenter.segment(Image.fromarray(scene.photo), ls.Prompt())
    truths = [ls.Segment.of(mask) for kind, mask in scene.instances if kind == name]
    assert truths
    for truth in truths:
        assert truth.overlaps(found).max() > 0.6


@needs_ultralytics
def test_everything_is_numbered_by_area_and_the_same_again(
    segmenter: FastSAM, scene: WorldScene
) -> None:
    image = Image.fromarray(scene.photo)
    first, again = (segmenter.segment(image, ls.Prompt()) for _ in range(2))
    assert [s.counts for s in first] == [s.counts for s in again]
    assert [s.area for s in first] == sorted((s.area for s in first), reverse=True)
    assert all(0 < s.score <= 1 for s in first if s.score is not None)


@needs_ultralytics
@pytest.mark.parametrize("wide", [True, False])
def test_points_and_boxes_are_x_then_y(segmenter: FastSAM, scene: WorldScene, wide: bool) -> None:
    """The house of a photo that grey bands make twice as wide, or as high, as it was."""
    photo, house = _with_bands(scene, "house", wide)
    truth = ls.Segment.of(house)
    x0, y0, x1, y1 = truth.box
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    seen = segmenter.embed(Image.fromarray(photo))
    (by_point, *_) = seen.segment(ls.Prompt(points=((x, y),)))
    (by_box, *_) = seen.segment(ls.Prompt(boxes=((x0, y0, x1, y1),)))
    assert by_point.size == by_box.size == photo.shape[:2]
    assert by_point.iou(truth) > 0.6
    assert by_box.iou(truth) > 0.6


@needs_ultralytics
def test_it_keeps_what_segmenters_promise(scene: WorldScene) -> None:
    photo, _ = _with_bands(scene, "house", wide=True)
    things = [(name, mask) for name, mask in scene.instances if name in ("house", "tree")]
    aside = scene.photo.shape[1] // 2
    boxes = [ls.Segment.of(mask).box for _, mask in things]
    objects = [(x0 + aside, y0, x1 + aside, y1) for x0, y0, x1, y1 in boxes]
    check_segmenter(FastSAM, Image.fromarray(photo), objects=objects)


@needs_ultralytics
def test_a_point_outside_rules_objects_out(segmenter: FastSAM, scene: WorldScene) -> None:
    seen = segmenter.embed(Image.fromarray(scene.photo))
    x0, y0, x1, y1 = ls.Segment.of(dict(scene.instances)["house"]).box
    point = ((x0 + x1) / 2, (y0 + y1) / 2)
    house = seen.segment(ls.Prompt(points=(point,)))[0]
    try:
        others = seen.segment(ls.Prompt(points=((3.0, 3.0),), outside=(point,)))
    except ls.SegmenterError as error:
        others = []
        assert "hit nothing" in str(error)
    assert all(not segment.contains(*point) for segment in others)
    assert house.contains(*point)


@needs_ultralytics
def test_a_picture_with_nothing_in_it_says_so(tiny: Path) -> None:
    with pytest.warns(UserWarning, match="pickle"):
        blind = FastSAM(FastSAM.Options(weights=str(tiny), side=64, confidence=1.0))
        assert blind.segment(Image.new("RGB", (40, 30)), ls.Prompt()) == []
    with pytest.raises(ls.SegmenterError, match="point 5,5 hit nothing"):
        blind.segment(Image.new("RGB", (40, 30)), ls.Prompt(points=((5, 5),)))


@needs_ultralytics
def test_a_pickle_is_read_only_when_named_and_with_a_word(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path))
    assert find_weights("mini").suffix == ".safetensors"
    assert find_weights("tiny.pt") == tiny
    with pytest.warns(UserWarning, match="is a pickle, a kind of file that can run code"):
        options = FastSAM.Options(weights="tiny.pt", side=64, confidence=0.0)
        found = FastSAM(options).segment(Image.new("RGB", (90, 40), "green"), ls.Prompt())
    assert all(segment.size == (40, 90) for segment in found)


class _Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("sprung",)


@needs_ultralytics
def test_a_pickle_that_would_run_code_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Trap()}, tmp_path / "FastSAM-s.pt")
    with (
        pytest.warns(UserWarning, match="pickle"),
        pytest.raises(ls.SegmenterError, match="restricted loader"),
    ):
        FastSAM(FastSAM.Options(weights="FastSAM-s.pt")).embed(Image.new("RGB", (64, 64)))
    assert not (tmp_path / "sprung").exists()


@needs_ultralytics
def test_weights_that_find_no_masks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": torch.nn.Linear(1, 1)}, path)
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(ls.SegmenterError, match="holds a Linear, which finds no masks"),
    ):
        FastSAM(FastSAM.Options(weights=str(path))).embed(Image.new("RGB", (64, 64)))


def test_missing_weights_say_where_we_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ls.SegmenterError) as caught:
        find_weights("FastSAM-x.pt")
    message = str(caught.value)
    assert f"in {tmp_path} and {tmp_path / 'cache'}; without" in message
    assert "get it from https://" in message
    with pytest.raises(ls.SegmenterError, match=r"did you mean 'FastSAM-s\.pt'\?"):
        find_weights("FastSAMs.pt")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "FastSAM-x.pt").touch()
    assert find_weights("FastSAM-x.pt") == tmp_path / "cache" / "FastSAM-x.pt"


def test_a_missing_extra_gives_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "ultralytics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ls.SegmenterError, match=r"pip install 'ultralytics"):
        FastSAM().embed(Image.new("RGB", (64, 64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.5}, "options.confidence: 1.5; give 0 to 1"),
        ({"side": 8}, "options.side: 8 pixels; give 64 to 4096"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ls.SegmenterError, match=message):
        FastSAM(FastSAM.Options(**options))  # type: ignore[arg-type]  # wrong on purpose


def test_text_without_a_clip_says_what_is_needed() -> None:
    segmenter = FastSAM()
    assert "text" not in segmenter.prompts
    with pytest.raises(ls.SegmenterError, match="text needs a CLIP, which is not fetched"):
        segmenter.segment(Image.new("RGB", (64, 64)), ls.Prompt(text="the house"))


@needs_ultralytics
def test_text_orders_the_objects_by_a_clip_on_disk(scene: WorldScene, tmp_path: Path) -> None:
    segmenter = FastSAM(FastSAM.Options(clip=str(_tiny_clip(tmp_path / "clip"))))
    assert "text" in segmenter.prompts
    seen = segmenter.embed(Image.fromarray(scene.photo))
    everything = {segment.counts for segment in seen.segment(ls.Prompt())}
    found = seen.segment(ls.Prompt(text="the house"))
    assert found
    assert {segment.counts for segment in found} <= everything
    empty = FastSAM(FastSAM.Options(clip=str(tmp_path)))
    with pytest.raises(ls.SegmenterError, match="no CLIP in hub format"):
        empty.segment(Image.fromarray(scene.photo), ls.Prompt(text="the house"))


@pytest.mark.slow
@needs_ultralytics
def test_nothing_is_sent_written_printed_or_left_changed(tmp_path: Path) -> None:
    """In a fresh process with an empty home: the import of ultralytics is what does most of it."""
    home = tmp_path / "home"
    home.mkdir()
    report = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(_WATCH)],
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert report.stderr == ""
    seen = json.loads(report.stdout)
    assert seen["used"]
    assert seen["sockets"] == []
    assert seen["changed"] == []
    assert not [path for path in home.rglob("*") if path.is_file()]


_WATCH = """
    import json, os, sys, warnings

    sockets = []
    names = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
    sys.addaudithook(lambda event, args: sockets.append(event) if event in names else None)
    import cv2, logging, numpy, torch, torchvision, transformers
    from PIL import Image
    import locstyle as ls
    from locstyle_plugins.fastsam import FastSAM

    def state():
        return {
            "environment": dict(os.environ),
            "cv2 threads": cv2.getNumThreads(),
            "numpy print": {k: str(v) for k, v in numpy.get_printoptions().items()},
            "torch print": str(vars(torch._tensor_str.PRINT_OPTS)),
            "torch save": torch.save,
            "torch load": torch.load,
            "torch threads": torch.get_num_threads(),
            "safe globals": sorted(map(str, torch.serialization.get_safe_globals())),
            "warnings": [str(f) for f in warnings.filters],
            "image reading": (cv2.imread, cv2.imwrite, cv2.imshow, Image.open),
            "inference": torch.is_inference_mode_enabled(),
            "grad": torch.is_grad_enabled(),
            "logging": logging.getLogger().level,
            "hooks": (sys.excepthook, sys.stdout, sys.stderr),
        }

    before = state()
    FastSAM().segment(Image.new("RGB", (96, 64), "green"), ls.Prompt())
    after = state()
    changed = [name for name in before if before[name] != after[name]]
    used = "ultralytics.nn.tasks" in sys.modules
    print(json.dumps({"sockets": sockets, "changed": changed, "used": used}))
"""


def _with_bands(scene: WorldScene, name: str, wide: bool) -> tuple[np.ndarray, np.ndarray]:
    side = scene.photo.shape[0] // 2
    across = ((0, 0), (side, side)) if wide else ((side, side), (0, 0))
    photo = np.pad(scene.photo, (*across, (0, 0)), constant_values=114)
    return photo, np.pad(dict(scene.instances)[name], across)


def _tiny_clip(folder: Path) -> Path:
    """A random CLIP with the mini backbone's tokenizer, in hub format."""
    from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = CLIPConfig(
        text_config={**small, "num_attention_heads": 2, "vocab_size": len(tokenizer)},
        vision_config={**small, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop)
    CLIPProcessor(pixels, tokenizer).save_pretrained(folder)
    return folder

"""The segmenter `sam` against segment-anything's and transformers' own code, on random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any  # both libraries are untyped

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.testing import check_segmenter, two_objects

pytest.importorskip("torchvision", reason="pip install segment-anything torchvision")
sam_package = pytest.importorskip(
    "segment_anything", reason="pip install segment-anything torchvision"
)

from locstyle_plugins.sam import Sam, weights  # noqa: E402  # after the skips
from locstyle_plugins.sam.everything import _boxes, _stability  # noqa: E402
from locstyle_plugins.sam.lean import lean_attention  # noqa: E402
from locstyle_plugins.sam.models import Encoded, Model, Original  # noqa: E402
from locstyle_plugins.sam.predictor import predictor  # noqa: E402
from locstyle_plugins.sam.square import Square  # noqa: E402

SIDE = 128  # of the small models' square: 8 x 8 patches, logits of 32 x 32
SHARPER = 5  # random attention looks everywhere alike; larger weights make answers differ by place
FORMS = ("original", "sam", "sam2")


def small_sam(seed: int = 0, checkpoint: str | Path | None = None) -> Any:
    """A Sam of the package's own modules, as its registry's builders make it, but small."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(seed)
    patches = SIDE // 16
    encoder = ImageEncoderViT(
        img_size=SIDE, depth=2, embed_dim=32, num_heads=2, out_chans=32, window_size=3,
        use_rel_pos=True, global_attn_indexes=(1,),
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    sam = Sam(
        encoder,
        PromptEncoder(32, (patches, patches), (SIDE, SIDE), 4),
        MaskDecoder(
            transformer_dim=32,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=32, num_heads=2),
            iou_head_hidden_dim=32,
        ),
    )
    for name, value in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:  # zero before training
            torch.nn.init.normal_(value, std=0.5)
        if "mask_decoder.transformer" in name and value.ndim == 2:
            value.data.mul_(SHARPER)
    if checkpoint is not None:
        with open(checkpoint, "rb") as file:
            sam.load_state_dict(torch.load(file))
    return sam.eval().requires_grad_(False)


def save_folder(folder: Path, form: str) -> Path:
    """A tiny random SAM or SAM 2 as transformers saves it."""
    import transformers as hf

    torch.manual_seed(1)
    if form == "sam":
        config = hf.SamConfig(
            vision_config={
                "hidden_size": 32, "output_channels": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "image_size": SIDE, "mlp_dim": 32, "window_size": 3,
                "global_attn_indexes": [1], "num_pos_feats": 16, "initializer_range": 0.1,
            },
            prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 4},
            mask_decoder_config={
                "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2,
                "iou_head_hidden_dim": 32,
            },
        )  # fmt: skip
        processor = hf.SamImageProcessor(
            size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
        )
        hf.SamModel(config).save_pretrained(folder)
    else:
        sizes = [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2]
        backbone = {
            "model_type": "sam2_hiera_det_model", "hidden_size": 16, "image_size": [SIDE, SIDE],
            "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [16, 32, 48, 64],
            "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [8, 4, 4, 2],
            "global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4],
        }  # fmt: skip
        config = hf.Sam2Config(
            vision_config={
                "model_type": "sam2_vision_model", "backbone_config": backbone,
                "backbone_channel_list": [64, 48, 32, 16], "backbone_feature_sizes": sizes,
                "fpn_hidden_size": 32,
            },
            prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 4},
            mask_decoder_config={
                "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2,
                "iou_head_hidden_dim": 32,
            },
        )  # fmt: skip
        processor = hf.Sam2ImageProcessor(size={"height": SIDE, "width": SIDE})
        hf.Sam2Model(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Every form, each through its own loader."""
    found: dict[str, Model] = {}
    for form in FORMS:
        folder = tmp_path_factory.mktemp(form)
        if form == "original":
            torch.save(small_sam().state_dict(), folder / "sam_vit_b.pth")
            registry = {"vit_b": lambda checkpoint: small_sam(7, checkpoint)}
            found[form] = weights.load_checkpoint(folder / "sam_vit_b.pth", "auto", "cpu", registry)
        else:
            found[form] = weights.load_folder(save_folder(folder, form), "cpu")
    return found


@pytest.fixture(params=FORMS)
def model(request: pytest.FixtureRequest, models: dict[str, Model]) -> Model:
    return models[request.param]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Wide, with blobs of several sizes."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((200, 125), Image.Resampling.BICUBIC)


def everything_kept(**changes: Any) -> Sam.Options:
    return Sam.Options(**{"grid": 6, "min_iou": 0.0, "min_stability": 0.0, **changes})


def differing(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pixels that differ."""
    return float((one != other).mean())


# Loading


def test_a_checkpoint_is_loaded_by_the_registry_and_is_the_files(models: dict[str, Model]) -> None:
    wanted, found = small_sam(0).state_dict(), models["original"].sam.state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.slow
def test_vit_b_goes_through_the_real_registry(tmp_path: Path) -> None:
    sam = sam_package.sam_model_registry["vit_b"]()
    torch.save(sam.state_dict(), tmp_path / "mine.pth")  # its size alone tells the kind
    found = weights.load(str(tmp_path / "mine.pth"), device="cpu")
    (tmp_path / "mine.pth").unlink()  # 375 MB that pytest would keep
    state = found.sam.state_dict()
    assert all(torch.equal(state[name], value) for name, value in sam.state_dict().items())


class Evil:
    """Pickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.folder,)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Evil(tmp_path / "ran")}, tmp_path / "sam_vit_b.pth")
    with pytest.raises(ls.SegmenterError, match="could run code"):
        weights.load(str(tmp_path / "sam_vit_b.pth"))
    assert not (tmp_path / "ran").exists()


def test_the_registry_alone_would_refuse_code_too(tmp_path: Path) -> None:
    import pickle

    torch.save({"weight": Evil(tmp_path / "ran")}, tmp_path / "sam_vit_b.pth")
    with pytest.raises(pickle.UnpicklingError):
        small_sam(0, tmp_path / "sam_vit_b.pth")
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_format_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "sam_vit_b.pth").write_bytes(b"no zip")
    with pytest.raises(ls.SegmenterError, match=r"no checkpoint that torch\.save wrote"):
        weights.load(str(tmp_path / "sam_vit_b.pth"))


def test_a_checkpoint_of_another_layout_names_the_kinds(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "sam_vit_l.pth")
    registry = {"vit_l": lambda checkpoint: small_sam(0, checkpoint)}
    with pytest.raises(
        ls.SegmenterError, match=r"no vit_l checkpoint .* kind: vit_b, vit_l, vit_h"
    ):
        weights.load_checkpoint(tmp_path / "sam_vit_l.pth", "auto", "cpu", registry)


def test_a_checkpoint_of_unknown_kind_asks_for_it(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "mine.pth")
    with pytest.raises(ls.SegmenterError, match=r"cannot tell which model 'mine\.pth'"):
        weights.load(str(tmp_path / "mine.pth"))


def test_missing_weights_say_where_and_how(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ls.SegmenterError) as caught:
        Sam().segment(Image.new("RGB", (8, 6)), ls.Prompt())
    for part in ("sam_vit_b_01ec64.pth", str(tmp_path), str(tmp_path / "cache"), "https://"):
        assert part in str(caught.value)


def test_weights_are_found_in_the_working_and_the_cache_folder(
    tmp_path: Path, monkeypatch: Any
) -> None:
    cache, here = tmp_path / "cache", tmp_path / "here"
    cache.mkdir()
    here.mkdir()
    monkeypatch.setenv("LOCSTYLE_CACHE", str(cache))
    monkeypatch.chdir(here)
    (cache / "a.pth").touch()
    assert weights.find("a.pth") == cache / "a.pth"
    (here / "a.pth").touch()
    assert weights.find("a.pth") == here / "a.pth"
    assert weights.find(str(cache / "a.pth")) == cache / "a.pth"


def test_a_missing_package_gives_the_pip_line(monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "segment_anything", None)
    with pytest.raises(ls.SegmenterError, match=r"pip install 'segment-anything"):
        weights.need("segment_anything")


def test_a_folder_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ls.SegmenterError, match=r"no config\.json"):
        weights.load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ls.SegmenterError, match="type 'bert'; it takes sam, sam2, sam2_video"):
        weights.load(str(tmp_path))


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    save_folder(tmp_path, "sam")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ls.SegmenterError, match=r"needs config\.json, model\.safetensors"):
        weights.load(str(tmp_path))


def test_a_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_folder(tmp_path, "sam2")
    state = load_file(tmp_path / "model.safetensors")
    del state["mask_decoder.iou_token.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ls.SegmenterError, match=r"lacks 1 weights, .* 'mask_decoder\.iou"):
        weights.load(str(tmp_path))


def test_a_video_folder_of_sam2_loads_as_its_image_model(tmp_path: Path) -> None:
    save_folder(tmp_path, "sam2")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video"}))
    assert type(weights.load(str(tmp_path), device="cpu").sam).__name__ == "Sam2Model"


# The same numbers as the libraries'

SIZES = [(200, 125), (90, 160), (128, 128), (300, 40)]  # (width, height)


@pytest.mark.parametrize("size", SIZES)
def test_masks_are_the_predictors(
    models: dict[str, Model], photo: Image.Image, size: tuple[int, int]
) -> None:
    model, image = models["original"], photo.resize(size)
    predictor = sam_package.SamPredictor(model.sam)
    predictor.set_image(np.asarray(image))
    x, y = size[0] * 0.8, size[1] * 0.25
    box = (size[0] * 0.1, size[1] * 0.2, size[0] * 0.6, size[1] * 0.9)
    for prompt, several, given in (
        (ls.Prompt(points=((x, y),)), True, {}),
        (ls.Prompt(points=((x, y),), outside=((3, 5),)), False, {}),
        (ls.Prompt(boxes=(box,)), False, {"box": np.array(box)}),
        (ls.Prompt(points=((x, y),), boxes=(box,)), False, {"box": np.array(box)}),
    ):
        if places := [*prompt.points, *prompt.outside]:
            labels = [1] * len(prompt.points) + [0] * len(prompt.outside)
            given |= {"point_coords": np.array(places), "point_labels": np.array(labels)}
        masks, scores, low = predictor.predict(**given, multimask_output=several)
        assert_decoded(model, image, prompt, low, masks, scores)


@pytest.mark.parametrize("form", ["sam", "sam2"])
@pytest.mark.parametrize("size", SIZES)
def test_masks_are_the_processors(
    models: dict[str, Model], photo: Image.Image, form: str, size: tuple[int, int]
) -> None:
    model, image = models[form], photo.resize(size)
    processors = __import__("transformers")
    kind = {"sam": "SamProcessor", "sam2": "Sam2Processor"}[form]
    processor = getattr(processors, kind)(model.processor)
    x, y = size[0] * 0.8, size[1] * 0.25
    box = [size[0] * 0.1, size[1] * 0.2, size[0] * 0.6, size[1] * 0.9]
    for prompt, several, given in (
        (ls.Prompt(points=((x, y),)), True, {}),
        (ls.Prompt(points=((x, y),), outside=((3, 5),)), False, {}),
        (ls.Prompt(boxes=(tuple(box),)), False, {"input_boxes": [[box]]}),
        (ls.Prompt(points=((x, y),), boxes=(tuple(box),)), False, {"input_boxes": [[box]]}),
    ):
        if places := [*prompt.points, *prompt.outside]:
            labels = [1] * len(prompt.points) + [0] * len(prompt.outside)
            given |= {
                "input_points": [[[list(p) for p in places]]],
                "input_labels": [[labels]],
            }
        inputs = processor(images=image, return_tensors="pt", **given)
        if "input_points" in inputs:
            inputs["input_points"] = inputs["input_points"].float()
        if "input_boxes" in inputs:
            inputs["input_boxes"] = inputs["input_boxes"].float()
        sizes = [inputs.pop("original_sizes")]
        if form == "sam":
            sizes.append(inputs.pop("reshaped_input_sizes"))
        with torch.inference_mode():
            out = model.sam(**inputs, multimask_output=several)
            masks = processor.post_process_masks(out.pred_masks, *sizes)[0][0]
        low, scores = out.pred_masks[0, 0], out.iou_scores[0, 0]
        assert_decoded(model, image, prompt, low.numpy(), masks.numpy(), scores.numpy())


def assert_decoded(
    model: Model,
    image: Image.Image,
    prompt: ls.Prompt,
    low: np.ndarray,
    masks: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Our logits, scores and pixels are the library's, and swapped axes would not be."""
    ours = predictor(model, image, Sam.Options())
    with torch.inference_mode():
        encoded = ours.encoded
        found, rated = decoded(model, encoded, prompt, len(low) > 1)
        turned, _ = decoded(model, encoded, swapped(prompt), len(low) > 1)
    away = np.abs(turned.numpy() - low).max()
    assert np.abs(found.numpy() - low).max() < 0.01 * away
    assert np.allclose(rated.numpy(), scores, rtol=1e-3, atol=1e-4)
    for logits, mask in zip(found, masks, strict=True):
        segment = encoded.frame.segment(logits, 0.5)
        assert segment.size == mask.shape == (image.height, image.width)
        assert differing(segment.inside, mask) < 2e-3


def decoded(model: Model, encoded: Any, prompt: ls.Prompt, several: bool) -> Any:
    places = [*prompt.points, *prompt.outside]
    labels = torch.tensor([[1] * len(prompt.points) + [0] * len(prompt.outside)])
    low, scores = model.decode(
        encoded,
        encoded.frame.into([places]) if places else None,
        labels if places else None,
        encoded.frame.into([[b[:2], b[2:]] for b in prompt.boxes]) if prompt.boxes else None,
        several=several,
    )
    return low[0], scores[0]


def swapped(prompt: ls.Prompt) -> ls.Prompt:
    return replace(
        prompt,
        points=tuple((y, x) for x, y in prompt.points),
        outside=tuple((y, x) for x, y in prompt.outside),
        boxes=tuple((y0, x0, y1, x1) for x0, y0, x1, y1 in prompt.boxes),
    )


def test_what_is_encoded_is_what_the_libraries_encode(
    models: dict[str, Model], photo: Image.Image
) -> None:
    with torch.inference_mode():
        predictor = sam_package.SamPredictor(models["original"].sam)
        predictor.set_image(np.asarray(photo))
        found = models["original"].encode(photo).features
        assert torch.allclose(found, predictor.features, atol=1e-4)


def test_lean_attention_is_attention_and_leaves_no_trace() -> None:
    encoder = small_sam().image_encoder
    x = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = encoder(x)
        with lean_attention(encoder):
            lean = encoder(x)
            replaced = ["forward" in vars(block.attn) for block in encoder.blocks]
        assert torch.allclose(lean, plain, atol=1e-5 * float(plain.std()))
        with pytest.raises(RuntimeError, match="stop"), lean_attention(encoder):
            raise RuntimeError("stop")
    assert replaced == [False, True]  # the first attends in windows, which are small
    assert not any("forward" in vars(block.attn) for block in encoder.blocks)


# Embedding


def test_a_photo_is_encoded_once_for_many_prompts(model: Model, photo: Image.Image) -> None:
    encoder = model.sam.image_encoder if isinstance(model, Original) else model.sam.vision_encoder
    calls: list[int] = []
    hook = encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        ours = predictor(model, photo, everything_kept(grid=2))
        for prompt in (ls.Prompt(boxes=((5, 5, 90, 80),)), ls.Prompt(), ls.Prompt()):
            ours.segment(prompt)
    finally:
        hook.remove()
    assert calls == [1]


def test_answers_do_not_depend_on_what_was_asked_before(model: Model, photo: Image.Image) -> None:
    box = ls.Prompt(boxes=((20, 10, 150, 100),))
    fresh = predictor(model, photo, everything_kept(grid=2)).segment(box)
    used = predictor(model, photo, everything_kept(grid=2))
    used.segment(ls.Prompt())
    predictor(model, photo.rotate(90), everything_kept())  # another photo in between
    assert [s.counts for s in used.segment(box)] == [s.counts for s in fresh]


# Everything


def test_everything_is_the_generators(models: dict[str, Model], photo: Image.Image) -> None:
    model = models["original"]
    image = photo.resize((96, 72))
    options = everything_kept(grid=8, batch=5)
    generator = sam_package.SamAutomaticMaskGenerator(
        model.sam,
        points_per_side=options.grid,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        box_nms_thresh=1.0,
    )
    theirs = [record["segmentation"] for record in generator.generate(np.asarray(image))]
    theirs = [inside for inside in theirs if inside.any()]
    ours = predictor(model, image, replace(options, max_overlap=1.0)).segment(ls.Prompt())
    assert [s.area for s in ours] == sorted((s.area for s in ours), reverse=True)
    assert abs(len(ours) - len(theirs)) <= 0.02 * len(theirs)
    overlaps = [max(ls.Segment.of(inside).overlaps(ours)) for inside in theirs]
    assert np.mean(overlaps) > 0.99


def test_masks_that_are_unsure_or_unstable_are_left_out(
    models: dict[str, Model], photo: Image.Image
) -> None:
    model = models["sam2"]
    loose = predictor(model, photo, everything_kept(max_overlap=1.0))
    found = loose.segment(ls.Prompt())
    middle = float(np.median([s.score for s in found]))
    sure = replace(loose, options=replace(loose.options, min_iou=middle)).segment(ls.Prompt())
    assert sorted(s.counts for s in sure) == sorted(s.counts for s in found if s.score > middle)
    with pytest.raises(ls.SegmenterError, match="lower min_iou"):
        replace(loose, options=replace(loose.options, min_stability=1.1)).segment(ls.Prompt())


def test_boxes_and_stability_are_the_packages() -> None:
    from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score

    draw = torch.Generator().manual_seed(0)
    low = torch.randn(20, 9, 13, generator=draw).mul(3).cumsum(1)
    low = low[(low > 0).flatten(1).any(1)]
    theirs = batched_mask_to_box(low > 0) + torch.tensor([0, 0, 1, 1])  # theirs end on the last
    assert torch.equal(_boxes(low > 0), theirs.float())
    assert torch.equal(_stability(low), calculate_stability_score(low, 0.0, 1.0))


# Prompts, on a model that is not random: every flat colour is an object


class Flat:
    """Finds what has the colour under the point or in the box's middle; a whole as large as the
    photo and a half-sized part are its other readings."""

    side, low = 256, 64

    def __init__(self, pads: bool) -> None:
        self.pads = pads

    def encode(self, image: Image.Image) -> Encoded:
        scale = self.side / max(image.size)
        inside = (round(image.height * scale), round(image.width * scale))
        inside = inside if self.pads else (self.side, self.side)
        square = Image.new("RGB", (self.side, self.side), (1, 2, 3))
        square.paste(image.resize(inside[::-1], Image.Resampling.NEAREST))
        small = np.asarray(square.resize((self.low, self.low), Image.Resampling.NEAREST))
        frame = Square((image.height, image.width), self.side, inside, self.pads)
        colours = (small.astype(np.int64) + 32) // 64  # noise does not count
        return Encoded(torch.from_numpy(colours @ [1, 8, 64]), frame)

    def decode(
        self, encoded: Encoded, points: Any, labels: Any, boxes: Any, *, several: bool
    ) -> Any:
        places = points[:, 0] if boxes is None else boxes.mean(1)
        x, y = (places * self.low / self.side).long().clamp(max=self.low - 1).T
        thing = encoded.features == encoded.features[y, x][:, None, None]
        part = thing & (torch.arange(self.low) <= x[:, None, None])
        whole = torch.ones_like(thing)
        masks = torch.stack([part, thing, whole] if several else [thing], 1)
        scores = torch.tensor([0.5, 0.95, 0.9] if several else [1.25])
        return masks * 16.0 - 8, scores.expand(len(masks), -1)


def flat_sam(pads: bool, **options: Any) -> Sam:
    return Sam(Sam.Options(**options), Flat(pads))


@pytest.mark.parametrize("pads", [True, False])
def test_it_conforms(pads: bool) -> None:
    check_segmenter(lambda: flat_sam(pads, grid=12))


@pytest.mark.parametrize("form", FORMS)
def test_random_weights_conform_in_form(models: dict[str, Model], form: str) -> None:
    options = everything_kept(grid=3)
    check_segmenter(lambda: Sam(options, models[form]), two_objects()[0], finds=False)


def test_everything_finds_each_object_once() -> None:
    image = Image.new("RGB", (300, 200), "navy")
    boxes = [(10, 20, 110, 120), (150, 30, 290, 90), (160, 110, 260, 190)]
    for box, colour in zip(boxes, ("red", "lime", "yellow"), strict=True):
        image.paste(Image.new("RGB", (box[2] - box[0], box[3] - box[1]), colour), box[:2])
    found = flat_sam(True, grid=16, min_iou=0.92).segment(image, ls.Prompt())
    assert len(found) == 4  # the background, too
    for box, segment in zip((boxes[0], boxes[1], boxes[2]), found[1:], strict=False):
        assert np.abs(np.subtract(segment.box, box)).max() < 5  # a low-resolution pixel is 4.7


@pytest.mark.parametrize(("choice", "share"), [("best", 0.25), ("largest", 1.0), ("smallest", 0.1)])
def test_a_click_has_three_readings_and_the_choice_is_first(choice: str, share: float) -> None:
    image = Image.new("RGB", (200, 100), "navy")
    image.paste(Image.new("RGB", (100, 50), "red"), (50, 25))
    found = flat_sam(True, choice=choice).segment(image, ls.Prompt(points=((89, 50),)))
    assert len(found) == 3
    assert found[0].share == pytest.approx(share, abs=0.02)


def test_boxes_find_parts_that_are_joined_and_take_the_points_in_them() -> None:
    image = Image.new("RGB", (200, 100), "navy")
    for left, colour in ((10, "red"), (80, "lime"), (150, "yellow")):
        image.paste(Image.new("RGB", (40, 60), colour), (left, 20))
    sam = flat_sam(True)
    boxes = ((10.0, 20.0, 50.0, 80.0), (80.0, 20.0, 120.0, 80.0))
    (two,) = sam.segment(image, ls.Prompt(boxes=boxes))
    assert two.share == pytest.approx(0.24, abs=0.02)
    (three,) = sam.segment(image, ls.Prompt(boxes=boxes, points=((20, 40), (170, 50))))
    assert three.share == pytest.approx(0.36, abs=0.02)
    assert three.score == 1.0  # the model said 1.25


def test_prompts_are_refused_before_weights_are_looked_for() -> None:
    image = Image.new("RGB", (60, 40))
    sam = Sam(Sam.Options(weights="nowhere.pth"))
    with pytest.raises(ls.SegmenterError, match="point 50,50 lies outside"):
        sam.segment(image, ls.Prompt(points=((50, 50),)))
    with pytest.raises(ls.SegmenterError, match="does not answer text"):
        sam.segment(image, ls.Prompt(text="a dog"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("form", FORMS)
def test_a_gpu_finds_what_a_cpu_finds(form: str, tmp_path: Path, photo: Image.Image) -> None:
    if form == "original":
        torch.save(small_sam().state_dict(), tmp_path / "sam_vit_b.pth")
        registry = {"vit_b": lambda checkpoint: small_sam(7, checkpoint)}
        load = partial(weights.load_checkpoint, tmp_path / "sam_vit_b.pth", "auto")
        found = [load(device, registry) for device in ("cpu", "cuda")]
    else:
        save_folder(tmp_path, form)
        found = [weights.load_folder(tmp_path, device) for device in ("cpu", "cuda")]
    for prompt in (ls.Prompt(), ls.Prompt(boxes=((20, 10, 150, 100),))):
        cpu, gpu = (
            predictor(model, photo, everything_kept(max_overlap=1.0)).segment(prompt)
            for model in found
        )
        assert abs(len(cpu) - len(gpu)) <= 0.02 * len(cpu)
        assert np.mean([max(segment.overlaps(gpu)) for segment in cpu]) > 0.98

"""SDXL: two encoders, what the network is told, and equality with diffusers' own pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from locstyle import Branch, Inversion, Plan, guided, load_backbone
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.denoise import denoise
from locstyle.engine.progress import ignore
from locstyle.engine.solvers import dpmpp_2m
from locstyle.engine.tiles import Tile, Tiles
from locstyle.engine.trajectory import Trajectory
from locstyle.job.inversions import Inverter
from locstyle.testing import check_backbone, save_tiny_xl, tiny_scene, tiny_xl, tiny_xl_parts

PHOTO = (48, 64)  # more pixels than the 32 x 32 that are drawn
IDS = {"original_size": PHOTO, "crops_coords_top_left": (0, 0), "target_size": (32, 32)}


@pytest.fixture(scope="module")
def xl() -> UNetBackbone:
    return tiny_xl()


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from diffusers import StableDiffusionXLPipeline

    made = StableDiffusionXLPipeline(
        **tiny_xl_parts()._asdict(), force_zeros_for_empty_prompt=False
    )
    made.set_progress_bar_config(disable=True)
    return made


def start() -> Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))


def sampled(xl: UNetBackbone, branches: Sequence[Branch], scale: float) -> Tensor:
    plan = Plan(tuple(branches), (), guided("-", "+", scale))
    tiles = Tiles.whole((8, 8)).showing(PHOTO)
    with torch.no_grad():
        return denoise(xl, plan, xl.schedule(10), start(), tiles=tiles).latent


def test_it_is_a_backbone_as_every_other(xl: UNetBackbone) -> None:
    check_backbone(xl)


@pytest.mark.parametrize("prompt", ["", "a house"])
def test_texts_are_those_of_diffusers(xl: UNetBackbone, pipeline: Any, prompt: str) -> None:
    states, *_ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    assert torch.equal(xl.text(prompt).states, states)


def test_unstyled_sampling_equals_diffusers_pipeline(xl: UNetBackbone, pipeline: Any) -> None:
    theirs = pipeline(
        "", latents=start(), num_inference_steps=10, guidance_scale=1, output_type="latent", **IDS
    ).images
    ours = sampled(xl, [Branch("+", xl.text(""))], 1)
    assert float((theirs - ours).abs().max()) < 1e-4


def test_guided_sampling_equals_diffusers_pipeline(xl: UNetBackbone, pipeline: Any) -> None:
    """Their pooled texts are neutral here as ours always are."""
    (words, _, neutral, _), (bad, *_) = (
        pipeline.encode_prompt(said, do_classifier_free_guidance=False) for said in ("a", "bad")
    )
    neutral = pipeline.encode_prompt("", do_classifier_free_guidance=False)[2]
    theirs = pipeline(
        prompt_embeds=words,
        negative_prompt_embeds=bad,
        pooled_prompt_embeds=neutral,
        negative_pooled_prompt_embeds=neutral,
        latents=start(),
        num_inference_steps=10,
        guidance_scale=4,
        output_type="latent",
        **IDS,
    ).images
    ours = sampled(xl, [Branch("-", xl.text("bad")), Branch("+", xl.text("a"))], 4)
    assert float((theirs - ours).abs().max()) < 1e-4


@pytest.mark.parametrize("steps", [4, 10])
def test_zero_terminal_snr_equals_diffusers_pipeline(pipeline: Any, steps: int) -> None:
    """v-prediction from noise alone, as NoobAI's and Illustrious' v-prediction models have it."""
    levels = {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, **levels)
    made = type(pipeline)(**{**pipeline.components, "scheduler": scheduler})
    made.set_progress_bar_config(disable=True)
    theirs = made(
        "", latents=start(), num_inference_steps=steps, guidance_scale=1, output_type="latent"
    ).images
    xl = UNetBackbone(
        tiny_xl_parts()._replace(scheduler=scheduler), name="v", device=torch.device("cpu")
    )
    plan = Plan((Branch("+", xl.text("")),), (), guided("-", "+", 1))
    schedule = xl.schedule(steps)
    assert (schedule.noisiest, schedule.alpha(999)) == (999, 0)
    with torch.no_grad():
        ours = denoise(xl, plan, schedule, start()).latent
        fast = denoise(xl, plan, schedule, start(), solver=dpmpp_2m).latent
    assert float((theirs - ours).abs().max()) < 1e-4
    assert bool(fast.isfinite().all())
    content = Inverter(xl, schedule, Inversion(), xl.text("")).invert([start()], ignore)
    assert all(bool(x.isfinite().all()) for x in content.trajectories[0].latents.values())


def test_a_small_picture_counts_as_large_as_it_is_drawn(xl: UNetBackbone) -> None:
    told = xl.told([Tile.all_of((8, 8), (20, 20)), Tile.all_of((8, 8)), Tile.all_of((8, 8), PHOTO)])
    ids = told[1].tolist()
    assert ids[0] == ids[1] == [32, 32, 0, 0, 32, 32]
    assert ids[2] == [48, 64, 0, 0, 32, 32]


def test_a_tile_is_told_as_a_crop(xl: UNetBackbone) -> None:
    tile = Tile(4, 8, 8, 8, (16, 16), (200, 300))
    assert xl.told([tile])[1].tolist() == [[200, 300, 16, 32, 32, 32]]


def test_pooled_text_is_the_empty_one_whatever_is_said(xl: UNetBackbone, pipeline: Any) -> None:
    neutral = pipeline.encode_prompt("", do_classifier_free_guidance=False)[2]
    xl.text("a house")
    assert torch.equal(xl.told([Tile.all_of((8, 8))])[0], neutral)


def test_rows_are_told_what_they_show(xl: UNetBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photo's row and the edit show the frame; a reference shows all of itself."""
    seen: list[list[Tile]] = []
    predict = xl.predict

    def noted(x: Tensor, t: int, states: Tensor, tiles: list[Tile]) -> Tensor:
        seen.append(tiles)
        return predict(x, t, states, tiles)

    monkeypatch.setattr(xl, "predict", noted)
    schedule, whole = xl.schedule(1), torch.zeros(1, 4, 16, 8)
    photo = Trajectory({schedule.noisiest: whole}, photo=PHOTO)
    reference = Trajectory({schedule.noisiest: start()})
    rows = (
        Branch("edit", xl.text("")),
        Branch("photo", xl.text(""), latent=photo),
        Branch("picture", xl.text(""), latent=reference),
    )
    tiles = Tiles((16, 8), (Tile(0, 0, 8, 8, (16, 8)), Tile(8, 0, 8, 8, (16, 8)))).showing(PHOTO)
    plan = Plan(rows, (), lambda made, call: made["edit"])
    denoise(xl, plan, schedule, whole, tiles=tiles)
    for tile, told in zip(tiles.tiles, seen, strict=True):
        assert told == [tile, tile, Tile.all_of((8, 8))]
        assert [one.photo for one in told] == [PHOTO, PHOTO, None]


def key(xl: UNetBackbone, photo: tuple[int, int]) -> str:
    inverter = Inverter(xl, xl.schedule(2), Inversion(), xl.text(""))
    return inverter._key(start(), Tiles.whole((8, 8)).showing(photo))


def test_a_kept_inversion_is_kept_by_sizes_and_pooled_text(
    xl: UNetBackbone, backbone: UNetBackbone
) -> None:
    assert key(xl, PHOTO) != key(xl, (96, 128))
    assert key(backbone, PHOTO) == key(backbone, (96, 128))  # told no sizes
    other = tiny_xl()
    with torch.no_grad():
        other.modules["text_encoder_2"].text_projection.weight.mul_(2)
    assert torch.equal(other.text("").states, xl.text("").states)
    assert key(other, PHOTO) != key(xl, PHOTO)


def test_a_kept_inversion_comes_back_knowing_its_picture(xl: UNetBackbone) -> None:
    kept: dict[str, Any] = {}

    class Cache:
        get, put = kept.get, kept.__setitem__

    inverter = Inverter(xl, xl.schedule(2), Inversion(), xl.text(""), Cache())  # type: ignore[arg-type]
    tiles = Tiles.whole((8, 8)).showing(PHOTO)
    made, again = (
        replace(inverter, references={}).invert([start()], ignore, tiles=tiles) for _ in range(2)
    )
    assert (made.cached, again.cached) == (0, 1)
    assert made.trajectories[0].photo == again.trajectories[0].photo == PHOTO


def test_learned_words_lie_side_by_side_for_both_encoders(xl: UNetBackbone) -> None:
    vectors = xl.word_vectors("ab")
    assert vectors.shape[1] == 40
    assert torch.equal(xl.text("x <w>", {"<w>": vectors}).states, xl.text("x ab").states)


def test_layers_of_times_and_sizes_have_no_tokens(xl: UNetBackbone) -> None:
    assert {site.side for site in xl.sites if "embedding" in site.name} == {"none"}


def test_attention_stands_at_scales_two_and_four(xl: UNetBackbone) -> None:
    assert {site.scale for site in xl.sites.where(role="self")} == {2, 4}
    assert {s.depth for s in xl.sites.where(role="self", stage="up")} == {0, 1, 2, 3, 4, 5}


def test_a_folder_loads_with_its_autoencoder_in_float32(tmp_path: Path) -> None:
    folder = save_tiny_xl(tmp_path)
    loaded = load_backbone(folder, device="cpu", dtype=torch.bfloat16)
    assert (loaded.dtype, loaded.vae.dtype) == (torch.bfloat16, torch.float32)
    assert loaded.modules["text_encoder_2"].dtype == torch.bfloat16
    same = load_backbone(folder, device="cpu", family="tiny-xl")
    x, states = start(), same.text("a").states
    with torch.no_grad():
        assert torch.equal(same.predict(x, 401, states), tiny_xl().predict(x, 401, states))


def test_a_scene_is_inverted_and_stays_finite_in_bfloat16(tmp_path: Path) -> None:
    loaded = load_backbone(save_tiny_xl(tmp_path), device="cpu", dtype=torch.bfloat16)
    scene = tiny_scene(loaded, [None], inversion=Inversion(steps=2))
    assert all(latent.isfinite().all() for latent in scene.content.latents.values())

"""The style encoder `concept`: learns vectors and nothing else, repeats exactly, resumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from locstyle_plugins.concept import Concept, _vectors, read_prompt
from PIL import Image
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.training import noise_loss
from locstyle.testing import CONTEXT

REQUEST = ls.StyleRequest("ink", "<ink>", seed=3)
SHORT = Concept.Options(steps=4, crops=3, lr=1e-2, words=2, batch=1)


def picture(size: tuple[int, int] = (48, 40), seed: int = 0) -> Image.Image:
    drawn = torch.randint(0, 256, (*size[::-1], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(drawn.to(torch.uint8).numpy())


def learn(backbone: UNetBackbone, options: Concept.Options = SHORT, **more: object) -> ls.Style:
    return Concept(options).encode([picture()], backbone, more.pop("request", REQUEST), **more)


def weights(backbone: UNetBackbone) -> list[Tensor]:
    modules = (backbone.unet, backbone.vae, backbone.text_encoder)
    return [value.clone() for module in modules for value in module.state_dict().values()]


@pytest.fixture
def untouched(backbone: UNetBackbone) -> Iterator[None]:
    """The m vectors are new, and every weight and token stays as it was."""
    before, tokens = weights(backbone), len(backbone.tokenizer)
    yield
    for old, new in zip(before, weights(backbone), strict=True):
        assert torch.equal(old, new)
    assert len(backbone.tokenizer) == tokens
    for module in (backbone.unet, backbone.vae, backbone.text_encoder):
        assert not any(p.requires_grad or p.grad is not None for p in module.parameters())
        assert not any(m._forward_hooks for m in module.modules())


def test_a_concept_is_its_vectors_and_how_they_were_made(
    backbone: UNetBackbone, untouched: None, tmp_path: Path
) -> None:
    style = learn(backbone)
    assert style.kinds == {"words"} and style.trigger == "<ink>"
    vectors = style.words["<ink>"]
    assert vectors.shape == (2, CONTEXT) and not vectors.requires_grad
    start = _vectors(backbone, "ink", 2)
    assert not torch.allclose(vectors, start, atol=1e-3)
    assert style.meta["base_digest"] == backbone.digest and style.preview is not None
    assert style.meta["scale"] == "1.25"  # 40 pixels, where the tiny backbone draws 32
    found = ls.read_style(style.save(tmp_path / "ink.safetensors"))[0]
    assert found.digest == style.digest
    assert torch.equal(found.words["<ink>"], vectors)


def test_learning_lowers_the_loss(backbone: UNetBackbone) -> None:
    """On the same noise before and after; the random network reads little into any words."""
    latents = backbone.encode(ls.Views(crops=0).of([picture()], backbone, 0)[0])
    t = torch.arange(50, 1000, 50)

    def loss(vectors: Tensor) -> float:
        states = backbone.text("<ink>", {"<ink>": vectors}).states.expand(len(t), -1, -1)
        noise, rows = ls.generator(9, "check"), latents.expand(len(t), -1, -1, -1)
        with torch.no_grad():
            return float(noise_loss(backbone, rows, states, t, noise=noise, training=ls.Training()))

    options = replace(SHORT, steps=25, lr=0.1, batch=4, crops=0)
    assert loss(learn(backbone, options).words["<ink>"]) < loss(_vectors(backbone, "ink", 2))


def test_the_same_seed_gives_the_same_vectors(backbone: UNetBackbone) -> None:
    found = []
    for seed in (5, 6):
        torch.manual_seed(seed)  # the global generator plays no part
        found.append(learn(backbone).digest)
    assert found[0] == found[1]
    assert learn(backbone, request=replace(REQUEST, seed=4)).digest != found[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_cancelling_leaves_no_trace_and_the_next_try_goes_on(
    backbone: UNetBackbone, untouched: None, error: type[BaseException], tmp_path: Path
) -> None:
    request = replace(REQUEST, resume=tmp_path / "ink.resume")
    options = replace(SHORT, steps=28)

    def cancel(step: ls.Step) -> None:
        if step.index == 26:
            raise error

    with pytest.raises(error):
        learn(backbone, options, request=request, on_step=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["ink.resume"]
    steps: list[int] = []
    resumed = learn(
        backbone, options, request=request, on_step=lambda step: steps.append(step.index)
    )
    assert steps == [26, 27, 28]
    assert resumed.digest == learn(backbone, options).digest
    with pytest.raises(ls.StyleError, match="another training"):
        learn(backbone, replace(options, lr=1e-3), request=request)


@pytest.mark.parametrize(
    "options",
    [
        replace(Concept.PRESETS["reference"], steps=2, batch=2),
        replace(SHORT, steps=2, l1=0.5, l1_space="pixel"),
        replace(SHORT, steps=2, resample=True, flips=True, size=40),
    ],
    ids=["reference", "pixel", "drawn anew"],
)
def test_options_train(backbone: UNetBackbone, untouched: None, options: Concept.Options) -> None:
    style = learn(backbone, options)
    assert bool(style.words["<ink>"].isfinite().all())


def test_the_reference_preset_is_the_references() -> None:
    o = Concept.PRESETS["reference"]
    assert (o.words, o.steps, o.lr, o.batch, o.weight_decay) == (3, 500, 2e-3, 4, 1e-2)
    assert (o.l1, o.l1_space, o.crops, o.flips, o.resample) == (1.0, "latent", 0, True, True)
    assert not (o.decay or o.warmup or o.stratified)


@pytest.mark.parametrize(
    ("name", "prompt", "wanted"),
    [
        ("ink", "<x>", ("<x>", "<x>", "x")),
        ("ink", "ink in <x> style", ("<x>", "ink in <x> style", "ink in style")),
        ("ink", "", ("<ink>", "<ink>", "ink")),
        ("old ink", "a drawing", ("<old-ink>", "<old-ink>", "a drawing")),
    ],
)  # fmt: skip
def test_the_prompt_says_where_the_placeholder_stands(
    name: str, prompt: str, wanted: tuple[str, str, str]
) -> None:
    placeholder, trained, init = read_prompt(ls.StyleRequest(name, prompt), "")
    assert (placeholder, trained) == wanted[:2] and init.split() == wanted[2].split()
    assert read_prompt(ls.StyleRequest(name, prompt), "girl")[2] == "girl"


def test_words_start_as_the_initialisers_pieces(backbone: UNetBackbone) -> None:
    known = backbone.word_vectors("abc")
    assert torch.equal(_vectors(backbone, "abc", 3), known)
    assert torch.equal(_vectors(backbone, "a", 3), backbone.word_vectors("a").expand(3, -1))
    assert torch.allclose(_vectors(backbone, "abc", 1), known.mean(0, keepdim=True), atol=1e-6)
    assert torch.equal(_vectors(backbone, "abc", 6), known.repeat_interleave(2, 0))
    two = _vectors(backbone, "abcd", 2)
    abcd = backbone.word_vectors("abcd")
    assert torch.allclose(two, torch.stack([abcd[:2].mean(0), abcd[2:].mean(0)]), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"words": 0}, {"batch": 0}, {"crops": -1}, {"l1": -0.1}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ls.RecipeError, match="options: "):
        Concept.Options(**wrong)  # type: ignore[arg-type]


def test_no_image_is_an_error(backbone: UNetBackbone) -> None:
    with pytest.raises(ls.StyleError, match="no style image"):
        Concept().encode([], backbone, REQUEST)


def test_the_encoder_is_registered_under_its_name() -> None:
    import locstyle_plugins.concept as plugin

    with ls.Host(allow=()).temporarily(plugin) as host:
        assert host.style_encoder("concept", {"words": 4}, preset="reference").options.words == 4


def test_a_prompt_that_ends_before_its_placeholder_is_refused(backbone: UNetBackbone) -> None:
    for prompt in ("abcdefghijklmnopqrstuvw <ink>", "abcdefghijklm <ink>"):
        with pytest.raises(ls.StyleError, match=r"prompt: '<ink>' does not fit .* say less"):
            learn(backbone, request=replace(REQUEST, prompt=prompt))

"""The style encoder `lora`: learns what PEFT learns, leaves no trace, repeats exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from locstyle_plugins.lora import FULL, TARGETS, LoRA, adapted
from PIL import Image
from torch import nn

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.style import read_style

REQUEST = ls.StyleRequest("ink", "ink style", seed=3)
SHORT = LoRA.Options(rank=2, steps=2, crops=3, warmup=0, lr=1e-2)


def picture(size: tuple[int, int] = (48, 40), seed: int = 0) -> Image.Image:
    drawn = torch.randint(0, 256, (*size[::-1], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(drawn.to(torch.uint8).numpy())


def learn(backbone: UNetBackbone, options: LoRA.Options = SHORT, **more: object) -> ls.Style:
    return LoRA(options).encode([picture()], backbone, more.pop("request", REQUEST), **more)


def state(unet: nn.Module) -> tuple[object, ...]:
    """Everything about a network an encoder could leave a trace in."""
    return (
        {name: id(module) for name, module in unet.named_modules()},
        {name: (id(p), p.requires_grad, p.grad) for name, p in unet.named_parameters()},
        {name: module.training for name, module in unet.named_modules()},
        set(vars(unet)),
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in unet.modules()],
    )


@pytest.fixture
def untouched(backbone: UNetBackbone) -> Iterator[None]:
    before, digest = state(backbone.unet), backbone.weights_digest()
    yield
    assert state(backbone.unet) == before
    assert backbone.weights_digest() == digest


@pytest.mark.parametrize("targets", ["attention", "full"])
def test_a_style_acts_as_the_peft_layers_it_was_trained_in(
    backbone: UNetBackbone, targets: str, untouched: None
) -> None:
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([300, 300])
    text = backbone.text("ink style")
    states = text.states.expand(2, -1, -1)
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad(), adapted(backbone, 2, TARGETS[targets], 0) as layers:
        for layer in layers.values():
            up = layer.lora_B["default"].weight
            up.copy_(torch.randn(up.shape, generator=drawn) * 0.3)
        learned = backbone.predict(x, t, states)
        deltas = {
            name: ls.Delta(
                layer.lora_A["default"].weight.clone(),
                layer.lora_B["default"].weight.clone(),
                layer.scaling["default"],
            )
            for name, layer in layers.items()
        }
    style = ls.Style("ink", backbone.family, deltas, {})
    region = ls.SceneRegion((ls.SceneStyle(style),), text, text)
    ownership = ls.Ownership(ls.Partition.of([ls.Mask.everywhere((32, 32))]))
    with (
        torch.inference_mode(),
        backbone.attach([ls.Deltas([region], ownership)]) as attachment,
    ):
        rows = (ls.Row("unstyled", 0), ls.Row("styled", 1))
        attachment.call = ls.Call(0.0, 300, rows, (8, 8))
        applied = backbone.predict(x, t, states)
    plain = backbone.predict(x, t, states).detach()
    assert torch.allclose(applied[1], learned[1], atol=1e-5)
    assert torch.allclose(applied[0], plain[0], atol=1e-6)
    assert not torch.allclose(learned[1], plain[1], atol=1e-3)


def test_a_style_holds_all_targets_and_what_they_learned(
    backbone: UNetBackbone, untouched: None
) -> None:
    style = learn(backbone)
    wanted = {
        site.name
        for site in backbone.sites
        if site.shape and site.name.endswith(tuple(f".{target}" for target in FULL))
    }
    assert set(style.deltas) == wanted and len(wanted) > 200
    # Self-attention over a single token does not depend on its query and key.
    idle = {name for name, delta in style.deltas.items() if not delta.up.any()}
    assert all(name.endswith(("attn1.to_q", "attn1.to_k")) for name in idle) and len(idle) < 10
    assert all(delta.rank == 2 and delta.scale == 0.7 for delta in style.deltas.values())
    assert {delta.down.dtype for delta in style.deltas.values()} == {torch.float16}
    for name, delta in style.deltas.items():
        assert delta.weight.shape == backbone.sites[name].shape


def test_the_file_comes_back_exactly_and_says_how_it_was_made(
    backbone: UNetBackbone, tmp_path: Path
) -> None:
    request = ls.StyleRequest("ink", "ink style", 3, "CC0", "locstyle train lora ink.png")
    style = learn(backbone, request=request)
    found, coverage = read_style(
        style.save(tmp_path / "ink.safetensors"), sites=backbone.sites, family=backbone.family
    )
    assert coverage.is_complete and found.digest == style.digest
    assert found.trigger == "ink style" and found.preview is not None
    assert found.meta["base_digest"] == backbone.weights_digest()
    assert found.meta["made_by"] == "locstyle train lora ink.png"
    assert found.meta["licence"] == "CC0" and found.meta["seed"] == "3"
    assert '"rank": 2' in found.meta["options"] and float(found.meta["scale"]) > 0


def test_the_same_seed_gives_the_same_file(backbone: UNetBackbone, tmp_path: Path) -> None:
    files = []
    for name in "ab":
        torch.manual_seed(ord(name))  # the global generator plays no part
        files.append(learn(backbone).save(tmp_path / f"{name}.safetensors").read_bytes())
    assert files[0] == files[1]
    assert learn(backbone, request=ls.StyleRequest("ink", "ink style", 4)).digest != (
        ls.read_style(tmp_path / "a.safetensors")[0].digest
    )


def test_any_backbone_with_layers_will_do(backbone: UNetBackbone, untouched: None) -> None:
    """Of a network it knows nothing but what the protocol offers."""

    class Bare:
        def __getattr__(self, name: str) -> object:
            assert name in {*dir(ls.Backbone), *ls.Backbone.__annotations__}, name
            return getattr(backbone, name)

    assert learn(Bare()).digest == learn(backbone).digest  # type: ignore[arg-type]


def test_the_callers_random_numbers_are_left_alone(backbone: UNetBackbone) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    learn(backbone)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_cancelling_leaves_no_style_and_no_trace(
    backbone: UNetBackbone, untouched: None, error: type[BaseException]
) -> None:
    def cancel(step: ls.Step) -> None:
        raise error

    with pytest.raises(error):
        learn(backbone, on_step=cancel)


def test_a_training_that_diverges_names_the_step_and_leaves_no_trace(
    backbone: UNetBackbone, untouched: None
) -> None:
    wild = LoRA.Options(rank=2, steps=30, crops=0, warmup=0, lr=1e30)
    with pytest.raises(ls.DenoiseError, match="step"):
        learn(backbone, wild)


def test_weights_too_large_for_the_file_are_an_error(
    backbone: UNetBackbone, untouched: None
) -> None:
    with pytest.raises(ls.DenoiseError, match="not finite after 1 steps"):
        learn(backbone, LoRA.Options(rank=2, steps=1, crops=0, warmup=0, lr=1e6))


def test_an_injection_that_fails_leaves_no_trace(
    backbone: UNetBackbone, untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peft.tuners.lora.layer as layers

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(layers.Conv2d, "__init__", fail)  # after the first linear layers
    with pytest.raises(MemoryError):
        learn(backbone)


@pytest.mark.parametrize(
    "options",
    [
        LoRA.PRESETS["paper"],
        LoRA.Options(min_snr=True),
        LoRA.Options(caption="hut"),
        LoRA.Options(caption_dropout=0.0, flips=False, targets="attention"),
        LoRA.Options(crops=0, batch=2, size=40),
        LoRA.Options(hues=True),
        LoRA.Options(flips=True, zoom=1.5),
        LoRA.Options(half=False),
    ],
    ids=["paper", "min_snr", "caption", "attention", "whole", "hues", "zoom", "full precision"],
)
def test_options_train(backbone: UNetBackbone, untouched: None, options: LoRA.Options) -> None:
    from dataclasses import replace

    style = learn(backbone, replace(options, steps=1, rank=1))
    assert style.deltas and style.rank == 1
    wanted = torch.float16 if options.half else torch.float32
    assert {delta.up.dtype for delta in style.deltas.values()} == {wanted}


def test_the_papers_preset_is_the_papers() -> None:
    paper = LoRA.PRESETS["paper"]
    assert (paper.rank, paper.steps, paper.lr, paper.batch) == (16, 200, 2e-4, 1)
    assert (paper.targets, paper.weight_decay, paper.resample) == ("attention", 1e-2, True)
    assert not (paper.crops or paper.flips or paper.caption_dropout or paper.decay or paper.min_snr)


def test_images_of_other_sizes_and_modes_train_together(backbone: UNetBackbone) -> None:
    images = [picture((70, 33)), picture((20, 50)).convert("RGBA"), picture((9, 9)).convert("L")]
    options = LoRA.Options(rank=1, steps=2, crops=0)
    assert LoRA(options).encode(images, backbone, REQUEST).deltas


def test_without_a_prompt_the_name_makes_one(backbone: UNetBackbone) -> None:
    with pytest.warns(UserWarning, match="text window"):  # of the tiny backbone
        style = learn(backbone, request=ls.StyleRequest("ink", ""))
    assert style.trigger == "a painting in ink style"


def test_a_prompt_that_is_cut_warns_with_what_was_cut(backbone: UNetBackbone) -> None:
    with pytest.warns(UserWarning, match="without its end"):
        learn(backbone, request=ls.StyleRequest("ink", "a painting in ink style"))


def test_no_image_is_an_error(backbone: UNetBackbone) -> None:
    with pytest.raises(ls.StyleError, match="no style image"):
        LoRA().encode([], backbone, REQUEST)


def test_scale_is_a_share_of_what_was_learned(backbone: UNetBackbone, untouched: None) -> None:
    whole, half = (
        learn(backbone, LoRA.Options(steps=2, rank=1, scale=scale)) for scale in (1.0, 0.5)
    )
    for name, delta in whole.deltas.items():
        assert torch.equal(delta.up, half.deltas[name].up)
        assert half.deltas[name].scale == 0.5 * delta.scale


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 0},
        {"batch": 0},
        {"crops": -1},
        {"zoom": 0.5},
        {"caption_dropout": 1.0},
        {"scale": 0.0},
        {"scale": float("nan")},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ls.RecipeError, match="options: "):
        LoRA.Options(**wrong)


def test_the_encoder_is_registered_under_its_name() -> None:
    import locstyle_plugins.lora as plugin

    with ls.Host(allow=()).temporarily(plugin) as host:
        assert host.names("style_encoders") == ["lora"]
        encoder = host.style_encoder("lora", {"rank": 4}, preset="paper")
        assert encoder.options.rank == 4 and encoder.options.lr == 2e-4
        with pytest.raises(ls.RecipeError, match="did you mean 'rank'"):
            host.style_encoder("lora", {"rnk": 4})

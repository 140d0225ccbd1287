"""DiffStyler against an independent transcription of its published equations, and its
properties."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from locstyle_plugins.diffstyler import DiffStyler, adaptive
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from locstyle import CLEAN, Inversion, Mask, Partition, Scene, Style, denoise
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, strips, tiny_scene

Options = DiffStyler.Options
REFERENCE = DiffStyler.PRESETS["reference"]


def run(scene: Scene, options: Options, *, max_rows: int | None = None) -> Tensor:
    plan = DiffStyler(options).plan(scene)
    start = scene.content.at(scene.schedule.noisiest)
    with torch.no_grad():
        return denoise(scene.backbone, plan, scene.schedule, start, max_rows=max_rows).latent


def lora_unet(backbone: UNetBackbone, style: Style) -> nn.Module:
    """A copy of the UNet with the style as a PEFT LoRA on every attention projection."""
    unet = copy.deepcopy(backbone.unet)
    rank = next(iter(style.deltas.values())).rank
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"]
    )
    inject_adapter_in_model(config, unet, "a")
    for name, module in unet.named_modules():
        if hasattr(module, "lora_A"):
            delta = style.deltas[name]
            module.lora_A["a"].weight.data = delta.down.clone()
            module.lora_B["a"].weight.data = delta.scale * delta.up
    return unet


class Published:
    """One UNet of the published code: source, negative and positive row, with injection.

    Written from docs/methods.md eqs. 1.2-1.5 and from what the published code really does,
    sharing nothing with the fusion under test.
    """

    layers = (
        "up_blocks.1.attentions.1", "up_blocks.1.attentions.2",
        "up_blocks.2.attentions.0", "up_blocks.2.attentions.1", "up_blocks.2.attentions.2",
        "up_blocks.3.attentions.0", "up_blocks.3.attentions.1", "up_blocks.3.attentions.2",
    )  # fmt: skip

    def __init__(self, unet: nn.Module, attention_steps: int, feature_steps: int) -> None:
        self.unet, self.steps, self.t = unet, 0, 0
        self.attention_steps, self.feature_steps = attention_steps, feature_steps
        modules = dict(unet.named_modules())
        for layer in self.layers:
            attention = modules[f"{layer}.transformer_blocks.0.attn1"]
            attention.forward = self._attention(attention)
        modules["up_blocks.1.resnets.1.conv2"].register_forward_hook(self._feature)

    def __call__(self, step: int, t: int, source: Tensor, x: Tensor, texts: list[Tensor]) -> Tensor:
        self.step, self.t = step, t
        with torch.no_grad():
            return self.unet(torch.cat([source, x, x]), t, torch.cat(texts)).sample

    def _attention(self, attn: nn.Module):  # type: ignore[no-untyped-def]
        base = [
            getattr(m, "base_layer", m) for m in (attn.to_q, attn.to_k, attn.to_v, attn.to_out[0])
        ]

        def forward(hidden_states: Tensor, **_: object) -> Tensor:
            q, k, v = (layer(hidden_states) for layer in base[:3])
            if self.step < self.attention_steps:
                r = min(1.0, 2 * self.t / 1000)
                q = torch.stack([q[0], *(r * q[0] + (1 - r) * q[b] for b in (1, 2))])
                k = torch.stack([k[0], *(r * k[0] + (1 - r) * k[b] for b in (1, 2))])
            heads = attn.heads
            q, k, v = (z.unflatten(-1, (heads, -1)).transpose(1, 2) for z in (q, k, v))
            logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            return base[3]((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))

        return forward

    def _feature(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        if self.step >= self.feature_steps:
            return None
        return output[:1].expand_as(output).contiguous()


def published(scene: Scene, styles: list[Style], masks: Tensor) -> Tensor:
    """The published sampling loop (docs/methods.md eqs. 1.2-1.7) over whole copies of the UNet."""
    backbone, steps = scene.backbone, scene.schedule.steps
    base = Published(copy.deepcopy(backbone.unet), steps, steps)
    loras = [
        Published(lora_unet(backbone, style), round(0.5 * steps), round(0.6 * steps))
        for style in styles
    ]
    empty, negative = scene.empty.states, scene.negative.states
    x = scene.content.at(scene.schedule.noisiest)
    alphas = scene.schedule.alphas
    for step, t in enumerate(scene.schedule.timesteps):
        source = scene.content.at(t)
        eps = base(step, t, source, x, [empty, negative, scene.text.states])
        for lora, region, mask in zip(loras, scene.regions, masks, strict=True):
            own = lora(step, t, source, x, [empty, negative, region.text.states])
            eps[:, :, mask] = own[:, :, mask]
        guided = eps[1:2] + 10.5 * (eps[2:3] - eps[1:2])
        a = alphas[t]
        to = alphas[scene.schedule.timesteps[step + 1]] if step + 1 < steps else alphas[0]
        clean = (x - (1 - a) ** 0.5 * guided) / a**0.5
        x = (to**0.5 * clean + (1 - to) ** 0.5 * guided).float()
    return x


def test_the_reference_preset_gives_the_published_codes_latents(backbone: UNetBackbone) -> None:
    styles = [random_style(backbone, seed) for seed in (1, 2)]
    scene = tiny_scene(backbone, styles, steps=10, inversion=Inversion(steps=50))
    edges = scene.shares(hard=True)[1:, 0, 0].bool()
    theirs = published(scene, styles, edges)
    ours = run(scene, REFERENCE)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(ours, run(scene, Options()), atol=1e-2)


def test_hard_masks_take_every_touched_latent_pixel_and_later_regions_win(
    backbone: UNetBackbone,
) -> None:
    masks = [Mask.box((0, 0, 17, 32), size=(32, 32)), Mask.box((10, 0, 20, 32), size=(32, 32))]
    shares = tiny_scene(backbone, [None, None], masks).shares(hard=True)[:, 0, 0, 0]
    assert shares[1].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert shares[2].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert shares[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_the_rate_is_the_published_one() -> None:
    rates = {981: 1, 501: 1, 481: 0.962, 1: 0.002}
    assert {t: pytest.approx(adaptive(t)) for t in rates} == rates


def test_rows_agree_where_nothing_differs(backbone: UNetBackbone) -> None:
    """Equal latents and prompts give equal rows, whatever is injected."""
    scene = tiny_scene(backbone, [None])
    scene = replace(
        scene,
        negative=scene.empty,
        text=scene.empty,
        regions=(replace(scene.regions[0], text=scene.empty, negative=scene.empty),),
    )
    plan = DiffStyler(replace(REFERENCE, guidance=3.0)).plan(scene)
    seen = {}

    def compose(predictions: dict[str, Tensor], call: object) -> Tensor:
        seen.update(predictions)
        return next(iter(predictions.values()))

    with torch.no_grad():
        start = scene.content.at(scene.schedule.noisiest)
        first = replace(scene.schedule, timesteps=scene.schedule.timesteps[:1])
        denoise(backbone, replace(plan, compose=compose), first, start)  # type: ignore[arg-type]
    rows = list(seen.values())
    assert len(rows) == 6
    assert all(torch.allclose(row, rows[0], atol=1e-5) for row in rows)


def test_empty_masks_make_styles_and_prompts_irrelevant(backbone: UNetBackbone) -> None:
    nowhere = Mask(torch.zeros(32, 32))
    options = replace(REFERENCE, guidance=2.0)
    results = []
    for seed in (1, 2):
        scene = tiny_scene(backbone, [random_style(backbone, seed)], [nowhere])
        region = replace(scene.regions[0], text=backbone.text(f"prompt {seed}"))
        results.append(run(replace(scene, regions=(region,)), options))
    assert torch.equal(*results)


def test_deltas_of_zero_change_nothing_under_equal_schedules(backbone: UNetBackbone) -> None:
    """Under the published unequal schedules it is false, as it should be."""
    equal = replace(REFERENCE, guidance=2.0, base_attention_share=0.5, base_feature_share=0.6)
    scene = tiny_scene(backbone, [None], steps=10)
    scene = replace(scene, regions=(replace(scene.regions[0], text=scene.text),))
    nowhere = replace(scene, partition=Partition.of([Mask(torch.zeros(32, 32))]))
    assert torch.allclose(run(scene, equal), run(nowhere, equal), atol=1e-4)
    unequal = replace(REFERENCE, guidance=2.0)
    assert not torch.allclose(run(scene, unequal), run(nowhere, unequal), atol=1e-4)


def test_a_mask_and_its_rest_under_one_style_are_one_full_mask(backbone: UNetBackbone) -> None:
    style, size = random_style(backbone, 1), (32, 32)
    halves = [Mask.box((0, 0, 16, 32), size=size), Mask.box((16, 0, 32, 32), size=size)]
    two = tiny_scene(backbone, [style, style], halves)
    two = replace(two, regions=(two.regions[0],) * 2)
    one = tiny_scene(backbone, [style], [Mask.everywhere(size)])
    for options in (REFERENCE, Options()):
        options = replace(options, guidance=2.0)
        assert torch.allclose(run(two, options), run(one, options), atol=1e-4)


def test_an_unstyled_edit_reconstructs_its_own_sampling_trajectory(backbone: UNetBackbone) -> None:
    """The source trajectory is the plain sampling run itself."""
    from locstyle import Trajectory

    scene = tiny_scene(backbone, [None], steps=6)
    x = scene.content.at(scene.schedule.noisiest)
    visited = {scene.schedule.noisiest: x}
    with torch.no_grad():
        for index, t in enumerate(scene.schedule.timesteps):
            to = scene.schedule.after(index)
            x = scene.schedule.move(x, backbone.predict(x, t, scene.empty.states), t, to)
            visited[to] = x
    region = replace(scene.regions[0], text=scene.empty, negative=scene.empty)
    scene = replace(
        scene,
        content=Trajectory(visited),
        text=scene.empty,
        negative=scene.empty,
        regions=(region,),
    )
    assert torch.allclose(run(scene, REFERENCE), visited[CLEAN], atol=1e-4)


def test_chunked_rows_give_the_same_latents(backbone: UNetBackbone) -> None:
    styles = [random_style(backbone, seed) for seed in (1, 2)]
    scene = tiny_scene(backbone, styles)
    for options in (REFERENCE, Options()):
        options = replace(options, guidance=2.0)
        whole = run(scene, options)
        for rows in (1, 2, 4):
            assert torch.allclose(run(scene, options, max_rows=rows), whole, atol=1e-5)


def test_the_background_is_held_and_costs_no_rows(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, 1)], strips(1))
    plan = DiffStyler(Options()).plan(scene)
    assert {branch.name for branch in plan.branches} == {"source 0", "- 1", "+ 1"}
    assert torch.equal(run(scene, Options())[..., 5:], scene.latent[..., 5:])


def test_guidance_of_one_leaves_the_negative_rows_out(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_style(backbone, 1)])
    plan = DiffStyler(replace(REFERENCE, guidance=1.0)).plan(scene)
    assert not [branch.name for branch in plan.branches if branch.name.startswith("-")]
    almost = run(scene, replace(REFERENCE, guidance=1.0 + 1e-7))
    assert torch.allclose(run(scene, replace(REFERENCE, guidance=1.0)), almost, atol=1e-4)

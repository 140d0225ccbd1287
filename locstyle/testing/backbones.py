"""What every backbone must do, as a test that any plugin can run on its own."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from locstyle.engine.backbone import Backbone, Text
from locstyle.engine.denoise import denoise
from locstyle.engine.plan import Branch, Plan
from locstyle.engine.sites import Site, Sites
from locstyle.engine.tiles import Tile
from locstyle.testing.traces import unchanged

ROLES = frozenset({"self", "cross", "conv", "linear", "norm", "layernorm"})


def check_backbone(backbone: Backbone, *, tolerance: float = 1e-4) -> None:
    """Hold a loaded backbone against what locstyle relies on; for the tests of its plugin.

    What it says about itself; pictures to latents and back; texts, with learned words in them;
    predictions that do not depend on who else is in the batch; gradients where a training needs
    them; interventions on every site it lists, which act, and of which nothing is left even when
    one fails; layers that can be replaced for a while; and weights that stay.

    Args:
        backbone: as its loader made it, `load(name, "cpu", None)`.
        tolerance: how far predictions may lie apart that should be equal, beside their size.

    Raises:
        AssertionError: what is not as promised.
        BackboneError: something changed its weights.
    """
    _check_words(backbone)
    check = _Check(backbone, tolerance)
    with unchanged(), torch.no_grad():
        check.pictures()
        check.texts()
        check.predictions()
        check.interventions()
        check.layers()
    with unchanged(), torch.enable_grad():
        check.gradients()
    backbone.seal.check()


def _check_words(backbone: Backbone) -> None:
    """What it says about itself."""
    for name in ("family", "name"):
        said = getattr(backbone, name)
        assert isinstance(said, str) and said, f"{name} is {said!r}; give a text"
    for name in ("native", "working", "factor", "multiple"):
        said = getattr(backbone, name)
        assert isinstance(said, int) and said > 0, f"{name} is {said!r}; give pixels"
    assert backbone.multiple % backbone.factor == 0, "multiple is no multiple of factor"
    assert backbone.prediction in ("epsilon", "v_prediction"), f"prediction {backbone.prediction!r}"
    alphas = backbone.alphas
    falls = bool((alphas.diff() <= 0).all()) and bool((alphas >= 0).all() and (alphas <= 1).all())
    assert alphas.ndim == 1 and falls, "alphas do not fall from 1 towards 0"
    digest = backbone.digest
    assert len(digest) == 64 and digest == backbone.digest, f"digest {digest!r} is no SHA-256"
    assert backbone.sites.roles and backbone.sites.roles <= ROLES, f"roles {backbone.sites.roles}"
    assert backbone.schedule(3).steps == 3, "a schedule of 3 steps has another number of them"


class _Check:
    def __init__(self, backbone: Backbone, near: float) -> None:
        self.backbone, self.near = backbone, near
        draw = torch.Generator().manual_seed(0)
        size = (2 * backbone.multiple, 3 * backbone.multiple)
        self.picture = torch.rand(1, 3, *size, generator=draw).to(backbone.device)
        with torch.no_grad():
            self.latent = backbone.encode(self.picture)
            self.text, self.other = backbone.text("a house"), backbone.text("")

    def pictures(self) -> None:
        height, width = (side // self.backbone.factor for side in self.picture.shape[-2:])
        shape = tuple(self.latent.shape)
        assert (shape[0], *shape[2:]) == (1, height, width), f"a latent of shape {shape}"
        drawn = [
            self.backbone.encode(self.picture, sample=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        ]
        assert torch.equal(drawn[0], drawn[1]), "encode does not draw by the generator it is given"
        back = self.backbone.decode(self.latent)
        assert back.shape == self.picture.shape, f"decodes to {tuple(back.shape)}"
        assert float(back.min()) >= 0 and float(back.max()) <= 1, "decodes outside of [0, 1]"
        preview = self.backbone.preview(self.latent)()
        is_picture = isinstance(preview, Image.Image)
        assert is_picture, f"preview gives a {type(preview).__name__}"

    def texts(self) -> None:
        for text in (self.text, self.other):
            assert isinstance(text, Text) and text.states.shape[0] == 1, "text is no ls.Text"
            assert text.states.shape == self.text.states.shape, "texts are of several lengths"
        assert self.text.used >= 1 and not self.text.cut, "a short prompt is not all there"
        long = self.backbone.text("a house " * 500)
        assert long.cut and long.states.shape == self.text.states.shape, "a long prompt is not cut"
        more = self.backbone.text("a (house:1.5) " * 500, windows=2)
        assert more.cut and more.states.shape[1] == 2 * self.text.states.shape[1], (
            "a long prompt is not in as many windows as it may be"
        )
        weighed = self.backbone.text("a (house:2)", windows=1).states
        plain = self.backbone.text("a house", windows=1).states
        self.same(plain, self.text.states, "a prompt without marks is not read as it stands")
        assert not torch.equal(weighed, plain), "the weight of a word changes nothing"
        vectors = self.backbone.word_vectors("house")
        said = self.backbone.text("a <x>", {"<x>": vectors})
        assert "<x>" in said.spans, "spans does not say where a learned word stands"
        self.same(said.states, self.text.states, "a word's own vectors do not mean the word")
        assert not torch.equal(
            self.backbone.text("a <x>", {"<x>": 0 * vectors}).states, said.states
        ), "the vectors of a learned word change nothing"

    def predictions(self) -> None:
        x, states = self._batch()
        t = self.backbone.schedule(3).timesteps[1]
        made = self.backbone.predict(x, t, states)
        assert made.shape == x.shape, f"predicts {tuple(made.shape)} for {tuple(x.shape)}"
        assert made.dtype == torch.float32, f"predicts {made.dtype}; give float32"
        assert bool(made.isfinite().all()), "predicts what is not finite"
        assert not torch.equal(made[0], made[1]), "predicts the same whatever the latent and text"
        for row in range(2):
            alone = self.backbone.predict(x[row : row + 1], t, states[row : row + 1])
            self.same(alone[0], made[row], "a row's prediction depends on the others in the batch")
        each = torch.full((2,), t, device=x.device)
        self.same(self.backbone.predict(x, each, states), made, "one timestep for each row differs")
        whole = [Tile.all_of((x.shape[-2], x.shape[-1]))] * 2
        shown = self.backbone.predict(x, t, states, whole)
        self.same(
            shown, made, "rows that show all of a picture differ from rows of which none says"
        )
        told = self.backbone.told(whole)
        assert all(len(one) == 2 for one in told), "told does not say something for each row"

    def interventions(self) -> None:
        plain = self._denoised()
        for site in self.backbone.sites:
            assert site.role in ROLES, f"{site.name}: role {site.role!r}"
        self.same(self._denoised(_Passing()), plain, "interventions that change nothing do")
        for role in sorted(self.backbone.sites.roles):
            sites = tuple(self.backbone.sites.where(role=role))  # type: ignore[arg-type]  # in ROLES
            calls: list[str] = []
            touched = self._denoised(_Counting(sites[:1], calls))
            assert calls, f"an intervention on {sites[0].name} is never asked"
            self.same(touched, plain, "an intervention that changes nothing does")
        try:
            self._denoised(_Failing())
        except _Failed:
            pass
        assert torch.equal(self._denoised(), plain), "interventions leave something behind"

    def layers(self) -> None:
        plain = self._denoised()
        for site in self.backbone.sites:
            layer = self.backbone.layer(site.name)
            frozen = not any(one.requires_grad for one in layer.parameters())
            assert frozen, f"{site.name}: its weights take gradients outside of a training"
        site = next(one for one in self.backbone.sites if one.shape and one.side == "image")
        doubled = {site.name: _doubled(self.backbone.layer(site.name))}
        with self.backbone.replacing(doubled):
            changed = self._denoised()
        assert not torch.equal(changed, plain), f"replacing the layer {site.name} changes nothing"
        try:
            with self.backbone.replacing(doubled):
                raise _Failed
        except _Failed:
            pass
        assert torch.equal(self._denoised(), plain), "a replaced layer is not put back"

    def gradients(self) -> None:
        latent = self.latent.detach().clone().requires_grad_()
        images = self.backbone.decode(latent)
        assert images.requires_grad, "decode passes no gradient on to latents"
        images.sum().backward()
        assert latent.grad is not None, "decode passes no gradient on to latents"
        vectors = self.backbone.word_vectors("house").requires_grad_()
        states = self.backbone.text("a <x>", {"<x>": vectors}).states
        assert states.requires_grad, "text passes no gradient on to learned words"
        states.sum().backward()
        assert vectors.grad is not None, "text passes no gradient on to learned words"

    def _batch(self) -> tuple[Tensor, Tensor]:
        x = torch.cat([self.latent, -self.latent])
        return x, torch.cat([self.text.states, self.other.states])

    def _denoised(self, *interventions: Any) -> Tensor:
        rows = (Branch("one", self.text), Branch("two", self.other))
        plan = Plan(rows, interventions, lambda made, call: (made["one"] + made["two"]) / 2)
        return denoise(self.backbone, plan, self.backbone.schedule(1), self.latent).latent

    def same(self, one: Tensor, other: Tensor, wrong: str) -> None:
        distance = float((one - other).abs().max())
        limit = self.near * max(1.0, float(other.abs().max()))
        assert distance <= limit, f"{wrong}: {distance:.2g} apart"


def _doubled(layer: nn.Module) -> nn.Module:
    """A copy with twice the weights; of the same class, since others may look into it."""
    copy = deepcopy(layer)
    for weight in copy.parameters():
        weight.mul_(2)
    return copy


class _Passing:
    """An intervention everywhere that changes nothing."""

    def where(self, sites: Sites) -> Iterable[Site]:
        return list(sites)

    def attend(self, site: Site, call: object, reads: Any) -> Any:
        return reads

    def feature(self, site: Site, call: object, *given: Any) -> Any:
        return given[-1]  # the layer's output


@dataclass(frozen=True)
class _Counting(_Passing):
    """The same at some sites, which notes that it was asked."""

    sites: tuple[Site, ...]
    calls: list[str]

    def where(self, sites: Sites) -> Iterable[Site]:
        return self.sites

    def attend(self, site: Site, call: object, reads: Any) -> Any:
        self.calls.append(site.name)
        return reads

    def feature(self, site: Site, call: object, *given: Any) -> Any:
        self.calls.append(site.name)
        return given[-1]


class _Failing(_Passing):
    def feature(self, site: Site, call: object, *given: Any) -> Any:
        raise _Failed


class _Failed(Exception):
    pass

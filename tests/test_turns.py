"""One backbone, many callers: threads wait for their turn, and nothing starts in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, tiny_backbone

PATIENCE = 60  # seconds until a thread that never comes fails the test


@pytest.fixture(scope="module")
def model() -> UNetBackbone:
    """A backbone of this file's own: some tests watch its lock."""
    return tiny_backbone()


@pytest.fixture(scope="module")
def editor(model: UNetBackbone) -> ls.Editor:
    return ls.Editor(model, ls.Host())


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (32, 40, 3), dtype=np.uint8))


def an_edit(model: UNetBackbone, seed: int, **given: object) -> ls.Edit:
    """Edits that share nothing: another photo, another style, the other half of it."""
    box = "box:0,0,20,32" if seed % 2 else "box:20,0,40,32"
    region = ls.Region(box, random_style(model, seed), prompt=f"words {seed}")
    return ls.Edit(picture(seed), (region,), **{"steps": 3, "seed": seed, **given})  # type: ignore[arg-type]


def trace(model: UNetBackbone) -> list[object]:
    """All that an attachment or a training changes on the modules."""
    every = [*model.unet.modules(), *model.vae.modules(), *model.text_encoder.modules()]
    hooks = [list(m._forward_hooks.values()) + list(m._forward_pre_hooks.values()) for m in every]
    flags = [p.requires_grad for p in model.unet.parameters()]
    return [every, hooks, flags, list(model.unet.attn_processors.values())]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(model: UNetBackbone) -> Iterator[None]:
    before, digest = trace(model), model.weights_digest()
    yield
    assert trace(model) == before
    assert model.weights_digest() == digest


class Watched:
    """A backbone's lock that says when a thread has to wait for it."""

    def __init__(self, lock: threading.RLock) -> None:  # type: ignore[valid-type]  # a function to mypy
        self.lock, self.is_awaited = lock, threading.Event()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            self.is_awaited.set()
            self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@contextmanager
def met(model: UNetBackbone, second: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Calling what this yields starts `second` in another thread, and returns once that waits."""
    lock = model.turns._lock
    watched = Watched(lock)
    model.turns._lock = watched  # type: ignore[assignment]
    thread = threading.Thread(target=second)

    def meet() -> None:
        if not watched.is_awaited.is_set():
            thread.start()
            assert watched.is_awaited.wait(PATIENCE), "the second caller did not wait"

    try:
        yield meet
        thread.join(PATIENCE)
        assert not thread.is_alive()
    finally:
        model.turns._lock = lock


@pytest.mark.parametrize("phase", ["invert", "denoise"])
@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_two_threads_that_meet_in_the_middle_get_what_each_gets_alone(
    editor: ls.Editor, model: UNetBackbone, phase: str, shared: bool
) -> None:
    alone = [editor.run(an_edit(model, seed)).latent for seed in (1, 2)]
    other = editor if shared else ls.Editor(model, ls.Host())
    steps: list[str] = []
    found: list[torch.Tensor] = []

    def second() -> None:
        result = other.run(an_edit(model, 2), lambda step: steps.append(f"second {step.phase}"))
        found.append(result.latent)

    with met(model, second) as meet:

        def first(step: ls.Step) -> None:
            steps.append(f"first {step.phase}")
            if (step.phase, step.index) == (phase, 2):
                meet()

        found.append(editor.run(an_edit(model, 1), first).latent)
    phases = ["invert"] * 3 + ["denoise"] * 3
    assert steps == [f"{who} {name}" for who in ("first", "second") for name in phases]
    assert all(any(torch.equal(one, two) for two in found) for one in alone)


def test_a_pool_of_threads_just_works(editor: ls.Editor, model: UNetBackbone) -> None:
    seeds = range(3)
    fusions = ["singlepass", "diffstyler"]
    edits = [an_edit(model, seed, fusion=ls.Fusing(fusions[seed % 2])) for seed in seeds]
    alone = [editor.run(edit).latent for edit in edits]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda edit: editor.run(edit).latent, edits * 2))
    for one, two in zip(alone * 2, together, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("encoder", ["lora", "concept"])
@pytest.mark.parametrize("is_first", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_training_beside_a_run_changes_neither(
    editor: ls.Editor, model: UNetBackbone, encoder: str, is_first: bool
) -> None:
    def train(on_step: ls.OnStep = lambda step: None) -> ls.Style:
        few = {"steps": 3, "crops": 4} | ({"rank": 2} if encoder == "lora" else {})
        maker = editor.host.style_encoder(encoder, few)
        return maker.encode([picture(5)], model, ls.StyleRequest("s", "a style"), on_step)

    def run(on_step: ls.OnStep = lambda step: None) -> torch.Tensor:
        return editor.run(an_edit(model, 1), on_step).latent

    style, latent = train().digest, run()
    found: dict[str, object] = {}
    if is_first:
        with met(model, lambda: found.update(latent=run())) as meet:
            found["style"] = train(lambda step: meet()).digest
    else:
        with met(model, lambda: found.update(style=train().digest)) as meet:
            found["latent"] = run(lambda step: meet())
    assert found["style"] == style
    assert torch.equal(found["latent"], latent)  # type: ignore[arg-type]


class Learning:
    """A style encoder that says it needs no training, and trains."""

    makes = frozenset({"words"})
    instant = True

    def encode(
        self, images: object, backbone: ls.Backbone, request: ls.StyleRequest, on_step: ls.OnStep
    ) -> ls.Style:
        words = backbone.word_vectors("a").float().requires_grad_()
        batch = torch.zeros(1, 4, 8, 8), backbone.text("a").states
        ls.train(backbone, [words], draw=lambda: batch, training=ls.Training(steps=1))
        raise AssertionError("the training began")


class Plugin:
    @ls.hookimpl
    def register_style_encoders(self, register: ls.Register) -> None:
        register("learning", Learning)


def _resolve(editor: ls.Editor, edit: ls.Edit) -> object:
    picture(7).save("seen.png")
    asked = ls.Edit(edit.image, (ls.Region("all", "learning:seen.png"),), steps=2)
    with editor.host.temporarily(Plugin(), name="learning-plugin"):
        return editor.resolve(asked)


def _train(editor: ls.Editor, edit: ls.Edit) -> object:
    maker = editor.host.style_encoder("lora", {"steps": 1, "crops": 1})
    return maker.encode([picture(5)], editor.backbone, ls.StyleRequest("s", "a"), lambda step: None)


def _invert(editor: ls.Editor, edit: ls.Edit) -> object:
    backbone = editor.backbone
    latent = torch.zeros(1, 4, 8, 8)
    return ls.invert(backbone, latent, backbone.schedule(2), text=backbone.text(""))


def _attach(editor: ls.Editor, edit: ls.Edit) -> object:
    with editor.backbone.attach(()):
        raise AssertionError("attached")


def _predict(editor: ls.Editor, edit: ls.Edit) -> object:
    return editor.backbone.predict(torch.zeros(1, 4, 8, 8), 1, editor.backbone.text("").states)


INSIDE: list[Callable[[ls.Editor, ls.Edit], object]] = [
    ls.Editor.run, _resolve, _train, _invert, _attach, _predict,
]  # fmt: skip


@pytest.mark.parametrize("phase", ["invert", "denoise"])
@pytest.mark.parametrize("inside", INSIDE, ids=lambda f: f.__name__.strip("_"))
def test_nothing_starts_from_on_step_and_the_run_goes_on(
    editor: ls.Editor,
    model: UNetBackbone,
    phase: str,
    inside: Callable[[ls.Editor, ls.Edit], object],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    edit, refused = an_edit(model, 1), []

    def on_step(step: ls.Step) -> None:
        if step.phase == phase:
            with pytest.raises(ls.BusyError, match="in the middle of an edit") as caught:
                inside(editor, an_edit(model, 2))
            refused.append(caught.value)

    assert torch.equal(editor.run(edit, on_step).latent, editor.run(edit).latent)
    assert len(refused) == 3


@pytest.mark.parametrize("inside", [INSIDE[0], _train, _predict])
def test_nothing_starts_from_the_on_step_of_a_training(
    editor: ls.Editor, model: UNetBackbone, inside: Callable[[ls.Editor, ls.Edit], object]
) -> None:
    def on_step(step: ls.Step) -> None:
        with pytest.raises(ls.BusyError, match="in the middle of an adaptation"):
            inside(editor, an_edit(model, 2))

    maker = editor.host.style_encoder("lora", {"steps": 1, "crops": 1})
    maker.encode([picture(5)], model, ls.StyleRequest("s", "a"), on_step)


def test_what_a_callback_may_do_with_the_backbone(editor: ls.Editor, model: UNetBackbone) -> None:
    seen = []

    def on_step(step: ls.Step) -> None:
        latent = model.encode(torch.zeros(1, 3, 32, 32))
        assert step.preview is not None
        seen.append((model.decode(latent), model.text("b"), step.preview(), model.digest))

    edit = an_edit(model, 1)
    assert torch.equal(editor.run(edit, on_step).latent, editor.run(edit).latent)
    assert len(seen) == 6


class Failing:
    """A fusion whose part raises, or starts a run of its own, in the middle of denoising."""

    carries = frozenset({"deltas", "words", "tokens", "reference"})
    requires_roles = frozenset({"self"})
    inversion = ls.Inversion()

    def __init__(self, part: str, act: Callable[[], object]) -> None:
        self.part, self.act = part, act

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        if self.part == "where":
            self.act()
        return list(sites.where(role="self"))

    def attend(self, site: ls.Site, call: ls.Call, reads: list[ls.Read]) -> list[ls.Read]:
        if self.part == "attend" and call.fraction > 0:
            self.act()
        return reads

    def plan(self, scene: ls.Scene) -> ls.Plan:
        if self.part == "plan":
            self.act()

        def compose(predictions: ls.Predictions, call: ls.Call) -> torch.Tensor:
            if self.part == "compose" and call.fraction > 0:
                self.act()
            return predictions["x"]

        others = (ls.Deltas(scene.regions, ls.Ownership(scene.partition)), self)
        return ls.Plan((ls.Branch("x", scene.text),), others, compose)


def failing(editor: ls.Editor, part: str, act: Callable[[], object]) -> object:
    class Offer:
        @ls.hookimpl
        def register_fusions(self, register: ls.Register) -> None:
            register("failing", lambda *_: Failing(part, act))

    model = editor.backbone
    assert isinstance(model, UNetBackbone)
    with editor.host.temporarily(Offer(), name="failing-plugin"):
        return editor.run(an_edit(model, 1, fusion=ls.Fusing("failing")))


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("part", ["plan", "where", "attend", "compose"])
@pytest.mark.parametrize("error", [ValueError("oops"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_fails_in_a_fusion_leaves_nothing_behind(
    editor: ls.Editor, model: UNetBackbone, part: str, error: BaseException
) -> None:
    before = trace(model)
    with pytest.raises(type(error)):
        failing(editor, part, lambda: _raise(error))
    assert trace(model) == before
    assert not model.turns._doing


@pytest.mark.parametrize("part", ["plan", "where", "attend", "compose"])
def test_a_fusion_cannot_run_an_edit_of_its_own(
    editor: ls.Editor, model: UNetBackbone, part: str
) -> None:
    with pytest.raises(ls.BusyError, match="an edit cannot start here"):
        failing(editor, part, lambda: editor.run(an_edit(model, 2)))


@pytest.mark.parametrize("phase", ["invert", "pivot", "denoise"])
def test_a_cancelled_run_leaves_nothing_behind_and_the_next_is_as_ever(
    editor: ls.Editor, model: UNetBackbone, phase: str
) -> None:
    options: dict[str, object] = {"source": "pivot", "pivot_iterations": 1}
    vct = ls.Fusing("vct", options=options if phase == "pivot" else {})
    edit = ls.Edit(picture(1), (ls.Region("all", prompt="a"),), steps=3, fusion=vct)
    before, plain = trace(model), editor.run(edit).latent

    def stop(step: ls.Step) -> None:
        if (step.phase, step.index) == (phase, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor.run(edit, stop)
    assert trace(model) == before
    assert torch.equal(editor.run(edit).latent, plain)


def test_learned_words_of_one_thread_are_not_read_by_another(model: UNetBackbone) -> None:
    words = {"<w>": torch.ones(1, 16)}
    plain, learned = model.text("a <w>").states, model.text("a <w>", words).states
    with ThreadPoolExecutor(4) as pool:
        texts = [pool.submit(model.text, "a <w>", words if i % 2 else None) for i in range(64)]
    for index, text in enumerate(texts):
        assert torch.equal(text.result().states, learned if index % 2 else plain)


def test_a_copy_of_a_backbone_has_turns_of_its_own() -> None:
    import copy

    from locstyle.engine.turns import Turns

    turns = Turns()
    copied = copy.deepcopy(turns)
    with turns.take("an edit", alone=True), copied.take("an edit", alone=True):
        pass

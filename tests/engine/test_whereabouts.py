"""Little memory: what is not in use leaves the device, and no bit changes by it.

There is no GPU here, so a device is pretended: every move is noted, and each part, when it runs,
looks whether it is where it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

import pytest
import torch
from test_drawing import FUSIONS, NEAR, edit_of
from torch import nn

import locstyle as ls
from locstyle import Editor, Fusing, Host, RecipeError
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.backbones.whereabouts import HOME, Whereabouts, is_short
from locstyle.engine.call import Takes
from locstyle.engine.denoise import FEWEST, in_passes
from locstyle.testing import tiny_backbone, tiny_xl

GPU = torch.device("cuda:0")


class Pretended:
    """A device to which nothing moves: `at` says where each module would be."""

    def __init__(self) -> None:
        self.at: dict[nn.Module, torch.device] = {}
        self.moves = 0

    def __call__(self, module: nn.Module, to: torch.device) -> None:
        self.moves += self.at.get(module) != to
        self.at[module] = to

    @contextmanager
    def watched(self, backbone: UNetBackbone) -> Iterator[set[frozenset[str]]]:
        """Gathers which parts are there whenever one runs; one that runs elsewhere fails."""
        found: set[frozenset[str]] = set()

        def look(module: nn.Module, *_: object) -> None:
            there = [name for name, one in backbone.modules.items() if self.at[one] == GPU]
            name = next(name for name, one in backbone.modules.items() if module in one.modules())
            assert name in there
            found.add(frozenset(there))

        vae = backbone.vae
        runs = [backbone.unet, vae.encoder, vae.decoder]
        runs += [one for name, one in backbone.modules.items() if name.startswith("text")]
        with ExitStack() as stack:
            for module in runs:
                stack.callback(module.register_forward_pre_hook(look).remove)
            yield found


def spared(backbone: UNetBackbone) -> Pretended:
    """The backbone as if it were on a GPU with little memory."""
    moves = Pretended()
    backbone.whereabouts = Whereabouts(backbone.modules, GPU, spares=True, move=moves)
    return moves


@pytest.mark.parametrize("make", [tiny_backbone, tiny_xl])
def test_only_what_runs_is_on_the_device_and_no_bit_changes(
    make: Callable[[], UNetBackbone], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = make()
    edit = edit_of(backbone, (NEAR,), steps=2)
    plain = Editor(backbone, Host()).run(edit)
    monkeypatch.setattr(UNetBackbone, "device", HOME)  # where the tensors really are
    moves = spared(backbone)
    editor = Editor(backbone, Host())
    assert editor.spares
    with moves.watched(backbone) as found:
        result = editor.run(edit, max_rows=99)
    assert torch.equal(result.latent, plain.latent)
    assert (result.photo.pixels == plain.photo.pixels).all()
    encoders = frozenset(name for name in backbone.modules if name.startswith("text"))
    assert found == {frozenset({"unet"}), frozenset({"vae"}), encoders}
    assert moves.moves < 20  # once a phase, not once a step


def test_a_preview_leaves_the_network_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    monkeypatch.setattr(UNetBackbone, "device", HOME)
    moves = spared(backbone)
    with moves.watched(backbone) as found:
        seen: list[object] = []

        def look(step: ls.Step) -> None:
            if step.preview:
                seen.append(step.preview())

        Editor(backbone, Host()).run(edit_of(backbone, (NEAR,), steps=3), look)
    assert seen and frozenset({"unet", "vae"}) in found


def test_texts_of_another_thread_wait_for_what_runs() -> None:
    backbone = tiny_backbone()
    moves = Pretended()
    parts = Whereabouts(backbone.modules, GPU, spares=True, move=moves)

    def speak() -> None:
        with parts.using("text_encoder"):
            assert moves.at[backbone.unet] == HOME

    beside = Thread(target=speak)
    with parts.using("unet"):
        beside.start()
        beside.join(0.1)
        assert beside.is_alive() and moves.at[backbone.unet] == GPU
    beside.join(5)
    assert not beside.is_alive() and moves.at[backbone.unet] == HOME


def test_without_need_everything_stays_on_the_device() -> None:
    backbone, moves = tiny_backbone(), Pretended()
    parts = Whereabouts(backbone.modules, GPU, move=moves)
    with parts.using("vae"):
        assert set(moves.at.values()) == {GPU}
    whole = parts.bytes
    parts.spare()
    assert set(moves.at.values()) == {HOME} and 0 < parts.bytes < whole
    assert is_short(backbone.modules, whole) and not is_short(backbone.modules, 2 * whole)


def test_few_rows_at_once_are_as_few_as_take_from_each_other() -> None:
    text = tiny_backbone().text("")
    rows = [ls.Branch(name, text) for name in "abcd"]
    assert [len(one) for one in in_passes(rows, (), FEWEST)] == [1, 1, 1, 1]
    entangled = (Takes(("a",), ("b",), ("k",)), Takes(("b",), ("a",), ("k",)))
    assert max(len(one) for one in in_passes(rows, entangled, FEWEST)) == 2


@pytest.mark.parametrize("fusion", [f for f in FUSIONS if f in ("singlepass", "diffstyler")])
def test_low_memory_draws_the_same_and_is_foretold(backbone: UNetBackbone, fusion: str) -> None:
    edit = edit_of(backbone, (NEAR,), FUSIONS[fusion], fusion=Fusing(fusion), steps=2)
    usual, low = Editor(backbone, Host()), Editor(backbone, Host(), memory="low")
    assert torch.allclose(low.run(edit).latent, usual.run(edit).latent, atol=1e-4)
    (told, *_) = low.forecast(edit)
    assert told.model == backbone.whereabouts.bytes > 0
    assert not backbone.whereabouts.spares  # on a CPU nothing is anywhere else
    with pytest.raises(RecipeError, match=r"memory: got 'none'; give auto or low"):
        Editor(backbone, Host(), memory="none")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ls.BackboneError, match=r"memory: got 'none'; give auto or low"):
        ls.load_backbone("mini", memory="none")  # type: ignore[arg-type]

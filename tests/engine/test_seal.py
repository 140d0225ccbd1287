"""A changed weight is seen, whoever changed it and however, and stays known."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.seal import Seal
from locstyle.errors import BackboneError, PluginError


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 6), nn.LayerNorm(7)).requires_grad_(False)


def written(one: nn.Module) -> None:
    with torch.no_grad():
        one[1].weight[2, 3] += 1


def written_in_inference_mode(one: nn.Module) -> None:
    with torch.inference_mode():
        one[1].bias.mul_(2)


def replaced(one: nn.Module) -> None:
    one[1].weight = nn.Parameter(one[1].weight.clone())


def data_written(one: nn.Module) -> None:
    one[0].weight.data.add_(1)


def data_replaced(one: nn.Module) -> None:
    one[2].bias.data = one[2].bias.data + 1


def loaded(one: nn.Module) -> None:
    one.load_state_dict({name: value + 1 for name, value in one.state_dict().items()})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (written, "net.1.weight"),
        (written_in_inference_mode, "net.1.bias"),
        (replaced, "net.1.weight"),
        (data_written, "net.0.weight"),
        (data_replaced, "net.2.bias"),
        (loaded, "net.0.weight"),
        (lambda one: one.register_parameter("new", nn.Parameter(torch.zeros(2))), "net.new"),
        (lambda one: one.pop(2), "net.2.weight"),
    ],
)
def test_every_way_to_change_a_weight_is_seen(
    change: Callable[[nn.Module], None], name: str
) -> None:
    one = model().to(memory_format=torch.channels_last)
    seal = Seal({"net": one})
    seal.check()
    change(one)
    assert seal.broken("who") == f"who changed the weight {name!r}"
    assert "who changed" in str(seal.broken("somebody later"))
    with pytest.raises(BackboneError, match=r"who changed the weight .* load the backbone again"):
        seal.check()


def test_using_moving_and_freezing_a_model_breaks_nothing() -> None:
    one = model()
    seal = Seal({"net": one})
    one[1](torch.ones(1, 5)).sum()
    one.requires_grad_(True).train().to("cpu")
    with torch.inference_mode():
        seal.check()


def test_a_seal_stays_broken_though_the_weights_come_back() -> None:
    one = nn.Linear(4, 4)
    seal = Seal({"net": one})
    before = one.weight.data.clone()
    one.weight.data.add_(1)
    assert seal.broken("who")
    one.weight.data.copy_(before)
    assert "who" in str(seal.broken())


def test_weights_made_in_inference_mode_are_watched_by_their_numbers() -> None:
    with torch.inference_mode():
        one = nn.Linear(4, 4)
        seal = Seal({"net": one})
        seal.check()
        one.weight.add_(1)
        assert seal.broken("who") == "who changed the weight 'net.weight'"


def test_not_a_number_is_as_it_was() -> None:
    one = nn.Linear(2, 2)
    one.weight.data.fill_(torch.nan)
    Seal({"net": one}).check()


def test_what_breaks_a_seal_inside_a_block_is_named() -> None:
    one = model()
    seal = Seal({"net": one})
    with seal.kept("nobody"):
        pass
    with pytest.raises(PluginError, match=r"fusion 'x' changed the weight 'net\.0\.weight'"):
        with seal.kept("fusion 'x'"):
            data_written(one)
    with pytest.raises(BackboneError, match="fusion 'x' changed"):
        with seal.kept("fusion 'y'"):
            raise AssertionError("not reached")


def test_an_error_inside_goes_first_and_the_seal_remembers() -> None:
    one = model()
    seal = Seal({"net": one})
    with pytest.raises(KeyError):
        with seal.kept("fusion 'x'"):
            data_written(one)
            raise KeyError
    assert "fusion 'x'" in str(seal.broken())


def test_a_copied_model_is_sealed_anew_unless_it_was_changed(backbone: UNetBackbone) -> None:
    copy = deepcopy(backbone)
    copy.seal.check()
    copy.unet.conv_in.weight.data.add_(1)
    assert "conv_in" in str(copy.seal.broken("who"))
    assert "who" in str(deepcopy(copy).seal.broken())
    backbone.seal.check()

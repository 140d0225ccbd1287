"""Updates in PEFT's forms, worked out by PEFT in a copy of one layer."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from locstyle.errors import StyleError
from locstyle.files import bounds
from locstyle.style.addition import Addition, Base, Parts


def by_peft(site: str, base: Base, config: Mapping[str, Any], parts: Parts) -> Addition:
    """What a PEFT adapter changes: merged by PEFT into a copy of this one layer.

    `config` is its configuration as data, `parts` are named as in its file behind the layer.

    Raises:
        StyleError: a kind of adapter that cannot be worked out layer by layer, or one that does
            not fit.
    """
    from peft import inject_adapter_in_model, set_peft_model_state_dict

    before, tree = base.module, nn.Module()
    around, (*above, name) = tree, site.split(".")
    for part in above:
        around.add_module(part, nn.Module())
        around = around.get_submodule(part)
    around.add_module(name, base.copied())
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(False),
            torch.no_grad(),
            warnings.catch_warnings(),
            _nothing_built(),
        ):
            # of patterns for layers that are not this one
            warnings.simplefilter("ignore")
            made = inject_adapter_in_model(_config(config, site, parts), tree)
            state = {f"{site}.{part}": tensor.float().cpu() for part, tensor in parts.items()}
            left = set_peft_model_state_dict(made, state).unexpected_keys
            if left:
                raise ValueError(f"PEFT has no place for {left[0]!r}")
            layer = made.get_submodule(site)
            layer.merge()
            after = layer.get_base_layer()
    except Exception as error:  # whatever its many kinds raise over numbers of anybody's
        is_its_own = isinstance(error, ImportError | OSError | AssertionError)
        hint = "the file is of another model, or damaged"
        raise StyleError(
            f"PEFT cannot apply it to a weight of shape {base.shape} ({error}); "
            f"{'PEFT does not work here, install it anew' if is_its_own else hint}"
        ) from error
    weight = after.weight.detach() - base.weight
    if before.bias is None and after.bias is None:
        return Addition(weight)
    was = 0 if before.bias is None else before.bias.detach().float().cpu()
    bias = after.bias.detach() - was
    return Addition(weight, bias if bias.any() else None)


@contextmanager
def _nothing_built() -> Iterator[None]:
    """Inside, PEFT's BOFT multiplies by torch in place of an extension.

    It would compile one whenever an adapter is made, with setuptools, which fails where distutils
    was there first; and without it leaves out all factors of an adapter but the first.
    """
    from peft.tuners.boft import layer

    before = layer.get_fbd_cuda
    layer.get_fbd_cuda = lambda: _BlockDiagonals
    try:
        yield
    finally:
        layer.get_fbd_cuda = before


class _BlockDiagonals:
    """What that extension gives, for blocks [n, blocks, side, side]: [n, all, all], a diagonal of
    blocks each."""

    @staticmethod
    def forward(blocks: Tensor) -> list[Tensor]:
        made = [torch.block_diag(*one) for one in blocks]  # type: ignore[no-untyped-call]  # torch's
        return [torch.stack(made)]


_KINDS = ("LORA", "LOHA", "LOKR", "OFT", "BOFT", "IA3")


def _config(said: Mapping[str, Any], site: str, parts: Parts) -> Any:
    """PEFT's configuration of one layer: what the file says of numbers, and nothing of places."""
    from peft import PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind = str(said.get("peft_type") or "LORA")
    if kind not in _KINDS:
        raise ValueError(f"adapters of PEFT's kind {kind!r} are not read; {', '.join(_KINDS)}")
    made_by = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(kind)]
    known = {one.name for one in dataclasses.fields(made_by)} - _PLACES
    given = {name: value for name, value in said.items() if name in known}
    for name in ("r", "oft_block_size", "boft_block_size"):
        if isinstance(given.get(name), int) and given[name] > bounds.RANK:
            raise ValueError(f"{name} is {given[name]}; read are at most {bounds.RANK}")
    if kind == "IA3":  # "feedforward" is PEFT's word for a factor of what a layer reads
        reads = any(tensor.shape[0] == 1 for tensor in parts.values())
        given["feedforward_modules"] = [site] if reads else []
    return made_by(**given, target_modules=[site])


_PLACES = frozenset(
    {"target_modules", "exclude_modules", "modules_to_save", "layers_to_transform"}
    | {"layers_pattern", "feedforward_modules", "bias", "init_weights", "init_lora_weights"}
    | {"target_parameters", "task_type", "auto_mapping", "inference_mode", "loftq_config"}
    | {"eva_config", "corda_config", "megatron_config", "runtime_config", "peft_type"}
)

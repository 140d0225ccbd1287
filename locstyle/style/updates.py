"""The updates of a LoRA file, each of any form, as deltas of the layers of a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from locstyle.errors import StyleError
from locstyle.style.addition import Addition, Base, as_delta
from locstyle.style.by_lycoris import by_lycoris
from locstyle.style.by_peft import by_peft
from locstyle.style.data import Delta
from locstyle.style.fit import FLOATS, Match
from locstyle.style.keys import form_of, part_of
from locstyle.style.scaling import Scaling

if TYPE_CHECKING:
    from locstyle.engine.sites import Site, Sites

_OF_PEFT = ("lora_magnitude", "lora_A", "lora_B", "ia3_", "oft_R", "boft_R", "boft_s")


class Layered(Protocol):
    """What is looked at of a backbone, see `Backbone`."""

    family: str
    sites: Sites
    text_sites: Sites

    def layer(self, name: str) -> nn.Module: ...


@dataclass(frozen=True, eq=False)
class Beside:
    """What a file is read beside: sites and family of a backbone, and where one is, itself."""

    sites: Sites
    family: str | None
    backbone: Layered | None = None

    @property
    def text_sites(self) -> Sequence[Site]:
        """Those of its text encoders, where a backbone is."""
        return () if self.backbone is None else tuple(self.backbone.text_sites)

    def site(self, name: str) -> Site:
        """A site of either."""
        if self.backbone is not None and name in self.backbone.text_sites:
            return self.backbone.text_sites[name]
        return self.sites[name]


class Updates:
    """Makes the updates of one file deltas, and keeps what became of those that are no factors."""

    def __init__(
        self, match: Match, scaling: Scaling, beside: Beside, tensors: Mapping[str, Tensor]
    ) -> None:
        self._match, self._scaling, self._beside = match, scaling, beside
        self._tensors = tensors
        self._made: dict[str, list[tuple[int, float]]] = {}  # by form: rank and error of each

    def check_alone(
        self, name: str, others: Mapping[str, Delta], parts: Mapping[str, Sequence[str]]
    ) -> None:
        """Refuses a second update of one layer.

        Raises:
            StyleError: there is one already, or a part of this one is there twice.
        """
        if name in others or any(len(parts[part]) > 1 for part in parts if part != "other"):
            first = next(iter(parts.values()))[0]
            raise StyleError(
                f"{self._match.file}: several updates for {name}, one of them {first!r}"
            )

    def delta(self, name: str, parts: Mapping[str, Sequence[str]]) -> Delta:
        """The update of site `name`; `parts` are its keys by what they hold."""
        keys = [key for found in parts.values() for key in found]
        held = {part: self._tensors[found[0]] for part, found in parts.items()}
        if "other" in parts:
            if [part_of(key).tail for key in parts["other"]] != ["lora_B.bias"]:
                return self._worked_out(name, keys)
            held["bias"] = held.pop("other")
        site = self._beside.site(name)
        down, up = self._match.fit(site, *self._match.pair(keys[0], held))
        scale = self._scaling.scale(name, held.get("alpha"), down.shape[0])
        bias = self._match.bias(name, held, up.shape[0])
        bias = None if bias is None else scale * bias.float()
        return self._match.delta(keys[0], down, up, scale, bias)

    def notes(self) -> tuple[str, ...]:
        """What had to be assumed, and how updates in other forms are kept."""
        made = (_told(form, found) for form, found in self._made.items())
        return (*self._scaling.notes(), *made)

    def _worked_out(self, name: str, keys: Sequence[str]) -> Delta:
        """The update as the library that defines its form has it."""
        match, beside = self._match, self._beside
        layer = None if beside.backbone is None else beside.backbone.layer(name)
        base = Base(beside.site(name).shape, layer)
        for key in keys:
            if (dtype := self._tensors[key].dtype) not in FLOATS and self._tensors[key].ndim:
                raise StyleError(f"{match.file}: {key!r} is {dtype}; accepted are floats")
        dtype = max((self._tensors[key] for key in keys), key=Tensor.numel).dtype
        form = next(found.name for key in keys if (found := form_of(key)))
        try:
            change = self._change(name, base, keys)
        except StyleError as error:
            raise StyleError(f"{match.file}: {name}, {form}: {error}") from error
        if not all(part.isfinite().all() for part in change if part is not None):
            raise StyleError(
                f"{match.file}: {name}, {form}: makes numbers that are not finite; the file is "
                "damaged"
            )
        delta, lost = as_delta(change, base.shape, dtype)
        is_whole = delta.rank >= min(base.shape[:2])
        self._made.setdefault(form, []).append((0 if is_whole else delta.rank, lost))
        bias = match.bias(
            name, {"bias": delta.bias} if delta.bias is not None else {}, base.shape[0]
        )
        return match.delta(name, delta.down, delta.up, delta.scale, bias)

    def _change(self, name: str, base: Base, keys: Sequence[str]) -> Addition:
        parts = {key: part_of(key) for key in keys}
        tails = [part.tail for part in parts.values()]
        is_peft = any(key.startswith("base_model.model.") for key in keys)
        if not is_peft and not any(tail.startswith(_OF_PEFT) for tail in tails):
            usual = {"down": "lora_down.weight", "up": "lora_up.weight", "alpha": "alpha"}
            return by_lycoris(
                base, {part.tail or usual[part.name]: self._tensors[k] for k, part in parts.items()}
            )
        usual = {"down": "lora_A.weight", "up": "lora_B.weight", "alpha": "alpha"}
        given = {part.tail or usual[part.name]: self._tensors[k] for k, part in parts.items()}
        alpha = given.pop("alpha", None)
        said: Mapping[str, Any] = self._scaling.said
        if said.get("peft_type", "LORA") == "LORA" and "lora_A.weight" in given:
            rank = given["lora_A.weight"].shape[0]
            scale = self._scaling.scale(name, alpha, rank)
            said = {"r": rank, "lora_alpha": scale * rank, "peft_type": "LORA"}
            said["use_dora"] = any(tail.startswith("lora_magnitude") for tail in tails)
        return by_peft(name, base, said, given)


def _told(form: str, made: Sequence[tuple[int, float]]) -> str:
    """How updates of one form are kept: of what rank, with what error, and how many whole."""
    ranks = sorted(rank for rank, _ in made if rank)
    said = []
    if ranks:
        span = str(ranks[0]) if ranks[0] == ranks[-1] else f"{ranks[0]} to {ranks[-1]}"
        error = max(error for _, error in made)
        said.append(f"{len(ranks)} layers at rank {span}, at most {error:.1g} of the update lost")
    if whole := len(made) - len(ranks):
        said.append(f"{whole} layers whole")
    return f"{form}: {'; '.join(said)}"

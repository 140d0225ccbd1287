"""How interventions are put on a model and taken off again without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from locstyle.engine.attend import Read
from locstyle.engine.sites import Site, Sites
from locstyle.errors import SiteError

MIXED = -1
"""The owner of a row whose tokens belong to different regions, as the partition says."""


class Row(NamedTuple):
    """One row of a forward pass: its branch's name and who owns it (a region index, 0, or
    `MIXED`)."""

    name: str
    owner: int


@dataclass(frozen=True)
class Call:
    """One forward pass, as interventions see it.

    `fraction` of the schedule lies behind it, in [0, 1); `t` is the timestep. `rows` are in batch
    order. `size` is the latent's (height, width). `segments` is how many texts of equal length lie
    one after another on the text-token axis. `memory` keeps donor rows' parts for the rest of this
    step when rows run in chunks.
    """

    fraction: float
    t: int
    rows: tuple[Row, ...]
    size: tuple[int, int]
    segments: int = 1
    memory: dict[tuple[str, str, str], Tensor] = field(default_factory=dict, repr=False)

    def index(self, name: str) -> int | None:
        """The batch index of the row of that name, or None where it is not part of this call."""
        for index, row in enumerate(self.rows):
            if row.name == name:
                return index
        return None

    def indices(self, names: Iterable[str]) -> list[int]:
        """The batch indices of the rows of those names, as far as they are part of this call."""
        return [index for name in names if (index := self.index(name)) is not None]

    def donor(self, site: Site, name: str, part: str, values: Tensor) -> Tensor | None:
        """What row `name` has at `site`: from `values` [rows, …] now, or from earlier in this step.

        None where the donor takes no part in this step at all.
        """
        index = self.index(name)
        if index is None:
            return self.memory.get((site.name, name, part))
        self.memory[site.name, name, part] = values[index]
        return values[index]


class Intervention(Protocol):
    """A pure rewrite of what some sites read or emit; never writes in place, keeps no state.

    An intervention has `attend`, `feature`, `normalize` or several of them; `attach` looks for them
    by the site's role.
    """

    def where(self, sites: Sites) -> Iterable[Site]:
        """The sites this intervention acts on."""
        ...


class Attends(Intervention, Protocol):
    """An intervention on attention sites."""

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        """The reads to use instead of `reads`."""
        ...


class Features(Intervention, Protocol):
    """An intervention on a convolution or linear layer."""

    def feature(self, site: Site, call: Call, x: Tensor, y: Tensor) -> Tensor:
        """The output to use instead of `y`, the layer's output for input `x`."""
        ...


class Normalizes(Intervention, Protocol):
    """An intervention on a GroupNorm."""

    def normalize(
        self, site: Site, call: Call, layer: nn.GroupNorm, x: Tensor, y: Tensor
    ) -> Tensor:
        """The output to use instead of `y`, the layer's output for input `x` [rows, C, h, w]."""
        ...


class Attachment:
    """What is attached to a model inside the `with`; `call` is set before every forward pass."""

    def __init__(self) -> None:
        self.call: Call | None = None

    def now(self) -> Call:
        if self.call is None:
            raise RuntimeError("set attachment.call before a forward pass of an attached model")
        return self.call


Processor = Callable[[Site, Attachment, Sequence[Attends]], object]
"""Makes the attention processor of one site."""


@contextmanager
def attach(
    modules: Mapping[str, nn.Module],
    sites: Sites,
    interventions: Sequence[Intervention],
    processor: Processor,
) -> Iterator[Attachment]:
    """Put `interventions` on their sites for the length of the `with`; afterwards nothing is left.

    Raises:
        SiteError: an intervention names a layer that is not there or cannot do what it asks.
    """
    attachment = Attachment()
    with ExitStack() as stack:
        for site, actors in _by_site(sites, interventions).items():
            module = modules[site.name]
            if site.role == "norm":
                hook = _norm_hook(site, attachment, _able(actors, "normalize", site))
                stack.callback(module.register_forward_hook(hook).remove)
            elif site.role in ("self", "cross"):
                _set_processor(
                    stack, module, processor(site, attachment, _able(actors, "attend", site))
                )
            else:
                hook = _hook(site, attachment, _able(actors, "feature", site))
                stack.callback(module.register_forward_hook(hook).remove)
        yield attachment


def _by_site(sites: Sites, interventions: Sequence[Intervention]) -> dict[Site, list[Any]]:
    found: dict[Site, list[Any]] = {}
    for intervention in interventions:
        for site in intervention.where(sites):
            found.setdefault(sites[site.name], []).append(intervention)
    return found


def _able(actors: Sequence[Any], method: str, site: Site) -> list[Any]:
    for actor in actors:
        if not hasattr(actor, method):
            raise SiteError(
                f"{site.name}: {type(actor).__name__} chose this {site.role} site "
                f"but has no method {method!r}"
            )
    return list(actors)


def _set_processor(stack: ExitStack, module: Any, new: object) -> None:
    # `set_processor` would drop a processor that is itself a module from `_modules`;
    # restoring through the same method puts exactly the old object back.
    stack.callback(module.set_processor, module.processor)
    module.set_processor(new)


def _hook(site: Site, attachment: Attachment, actors: Sequence[Features]) -> Callable[..., Tensor]:
    def run(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        call = attachment.now()
        for actor in actors:
            output = actor.feature(site, call, inputs[0], output)
        return output

    return run


def _norm_hook(
    site: Site, attachment: Attachment, actors: Sequence[Normalizes]
) -> Callable[..., Tensor]:
    def run(layer: nn.GroupNorm, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        call = attachment.now()
        for actor in actors:
            output = actor.normalize(site, call, layer, inputs[0], output)
        return output

    return run

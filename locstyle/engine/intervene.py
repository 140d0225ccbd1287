"""How interventions are put on a model and taken off again without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

from torch import Tensor, nn

from locstyle.engine.attend import Read
from locstyle.engine.call import Call, Part, Takes
from locstyle.engine.sites import Site, Sites
from locstyle.errors import SiteError


class Intervention(Protocol):
    """A pure rewrite of what some sites read or emit; never writes in place, keeps no state.

    It has one or more of these methods, which `attach` looks for by the site's role:

        project(site, call, read) -> Read                  attention: what rows project
        attend(site, call, reads) -> list[Read]            attention: what is read
        feature(site, call, layer, x, y) -> Tensor         any other layer: what it emits

    At an attention site all `project` run before any `attend`. What it takes from other rows it
    declares as an attribute `takes`, a `Takes`; the engine then runs those rows first, and hands
    the parts in as `call.given[row, part]`, whichever rows a forward pass has. One whose `feature`
    makes the output anew from `x` says so by `anew = True`: it has to be the first at its sites.
    """

    def where(self, sites: Sites) -> Iterable[Site]:
        """The sites this intervention acts on."""
        ...


class Projects(Intervention, Protocol):
    """An intervention on what attention sites project."""

    def project(self, site: Site, call: Call, read: Read) -> Read:
        """The read to use instead of `read`, which is of all rows, all tokens and all keys."""
        ...


class Attends(Intervention, Protocol):
    """An intervention on what attention sites read."""

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        """The reads to use instead of `reads`, which those before it may have cut up."""
        ...


class Features(Intervention, Protocol):
    """An intervention on a convolution, a linear layer or a norm."""

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The output to use instead of `y`, the output of `layer` for input `x` as those before it
        left it."""
        ...


NOTHING = Takes((), (), ())


def takes_of(intervention: Intervention) -> Takes:
    """What an intervention declares to take; nothing where it declares nothing."""
    takes: Takes = getattr(intervention, "takes", NOTHING)
    return takes


class Attachment:
    """What is attached to a model inside the `with`; `call` is set before every forward pass.

    Where the rows of one step run in several passes, `begin` says so before the first of them: what
    rows of later passes take is then kept until the next `begin`.
    """

    def __init__(self) -> None:
        self.call: Call | None = None
        self._kept: dict[tuple[object, str, Part], Tensor] = {}
        self._keeps = False

    def begin(self, *, passes: int) -> None:
        """A new step, or another part of the picture, that takes this many forward passes."""
        self._kept, self._keeps = {}, passes > 1

    def now(self) -> Call:
        if self.call is None:
            raise RuntimeError("set attachment.call before a forward pass of an attached model")
        return self.call

    def handing(self, actor: Intervention, parts: Mapping[Part, Tensor], place: object) -> Call:
        """The call with what `actor` takes of `parts` [rows, …] at a place, now or earlier."""
        call, takes = self.now(), takes_of(actor)
        if not takes.rows:
            return call
        given: dict[tuple[str, Part], Tensor] = {}
        for name in takes.rows:
            index = call.index(name)
            for part in takes.parts:
                if index is not None and part in parts:
                    given[name, part] = parts[part][index : index + 1]
                    if self._keeps:
                        self._kept[place, name, part] = given[name, part].clone()
                elif (place, name, part) in self._kept:
                    given[name, part] = self._kept[place, name, part]
        return replace(call, given=given)


@dataclass(frozen=True, eq=False)
class AtSite:
    """The interventions at one site, in order; what a model's own layers call."""

    site: Site
    attachment: Attachment
    actors: Sequence[Any]  # with the methods that `attach` found

    def reads(self, read: Read) -> list[Read]:
        """What an attention site is to read in place of `read`, its own."""
        parts: dict[Part, Tensor] = {"q": read.q, "k": read.k, "v": read.v}
        handed = [self.attachment.handing(actor, parts, self.site) for actor in self.actors]
        for actor, call in zip(self.actors, handed, strict=True):
            if hasattr(actor, "project"):
                read = actor.project(self.site, call, read)
        reads = [read]
        for actor, call in zip(self.actors, handed, strict=True):
            if hasattr(actor, "attend"):
                reads = actor.attend(self.site, call, reads)
        return reads

    def output(self, layer: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        """What a layer is to emit in place of `y`; has the form of a forward hook."""
        for turn, actor in enumerate(self.actors):
            call = self.attachment.handing(actor, {"y": y}, (self.site, turn))
            y = actor.feature(self.site, call, layer, inputs[0], y)
        return y


Processor = Callable[[AtSite], object]
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
        SiteError: an intervention names a layer that is not there, cannot do what it asks, or
            stands behind one whose work it would undo.
    """
    attachment = Attachment()
    with ExitStack() as stack:
        for site, actors in _by_site(sites, interventions).items():
            module = modules[site.name]
            if site.role in ("self", "cross"):
                _check_able(site, actors, "project", "attend")
                _set_processor(stack, module, processor(AtSite(site, attachment, actors)))
            else:
                _check_able(site, actors, "feature")
                _check_anew(site, actors)
                hook = AtSite(site, attachment, actors).output
                stack.callback(module.register_forward_hook(hook).remove)
        yield attachment


def _by_site(sites: Sites, interventions: Sequence[Intervention]) -> dict[Site, list[Any]]:
    found: dict[Site, list[Any]] = {}
    for intervention in interventions:
        for site in intervention.where(sites):
            found.setdefault(sites[site.name], []).append(intervention)
    return found


def _check_able(site: Site, actors: Sequence[Any], *methods: str) -> None:
    for actor in actors:
        if not any(hasattr(actor, method) for method in methods):
            raise SiteError(
                f"{site.name}: {type(actor).__name__} chose this {site.role} site "
                f"but has no method {' or '.join(map(repr, methods))}"
            )


def _check_anew(site: Site, actors: Sequence[Any]) -> None:
    for before, actor in pairwise(actors):
        if getattr(actor, "anew", False):
            raise SiteError(
                f"{site.name}: {type(actor).__name__} makes this layer's output anew and would "
                f"undo what {type(before).__name__} did; give it first in the plan"
            )


def _set_processor(stack: ExitStack, module: Any, new: object) -> None:
    # `set_processor` would drop a processor that is itself a module from `_modules`;
    # restoring through the same method puts exactly the old object back.
    stack.callback(module.set_processor, module.processor)
    module.set_processor(new)

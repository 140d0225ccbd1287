"""The plugin host: who offers what, under which name, from which distribution.

Built-ins come through the same entry points as everybody's plugins. A plugin that fails to load is
kept with its error and skipped; asking for a name nobody offers then chains that error.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from locstyle.errors import PluginError, RecipeError, at, did_you_mean
from locstyle.plugin import hookspecs
from locstyle.plugin.hookspecs import Factory
from locstyle.plugin.options import build_options, check_options

if TYPE_CHECKING:
    import click

GROUP = "locstyle"
ALLOW_LIST = "LOCSTYLE_PLUGINS"
# What each kind of contribution is called, and the method its class must have.
KINDS = {
    "segmenters": ("segmenter", "segment"),
    "style_encoders": ("style encoder", "encode"),
    "fusions": ("fusion", "plan"),
    "backbones": ("backbone", None),
    "metrics": ("metric", "measure"),
}
Given = Mapping[str, object] | None
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Plugin:
    """One plugin as `locstyle plugins` shows it; a failed and skipped one has an `error`."""

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None
    hooks: tuple[str, ...] = ()
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def source(self) -> str:
        """The distribution and its version, as an installer names them."""
        return f"{self.distribution} {self.version}" if self.distribution else "no distribution"

    @property
    def failure(self) -> str | None:
        """The error's kind and words, if it failed."""
        return f"{type(self.error).__name__}: {self.error}" if self.error else None

    def __str__(self) -> str:
        return f"{self.name!r} ({self.module}, {self.source})"


@dataclass(frozen=True)
class Contribution:
    """A registered name: the factory and the plugin it came from."""

    kind: str
    name: str
    factory: Factory
    plugin: Plugin


class Host:
    """The plugins of one program.

    `allow` lists the entry points to load by name: None loads all that are installed, empty none.
    """

    def __init__(self, allow: Iterable[str] | None = None) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, Plugin] = {}
        self._modules: dict[str, object] = {}
        self._offers: dict[tuple[str, str], Contribution] = {}
        self._contested: dict[tuple[str, str], PluginError] = {}
        self._load_entry_points(None if allow is None else set(allow))

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin met, in order of name, failed ones included."""
        return sorted(self._plugins.values(), key=lambda plugin: plugin.name)

    def names(self, kind: str) -> list[str]:
        """The names on offer of one kind: a key of `KINDS`, such as "segmenters" or "metrics"."""
        _check_lookup(kind, "")
        return sorted(name for k, name in self._offers if k == kind)

    def find(self, kind: str, name: str) -> Contribution:
        """The contribution of that name.

        Raises:
            RecipeError: nobody offers the name (nearest one offered).
            PluginError: two plugins claim it, one that may have offered it failed to load, or what
                is asked for is no kind or no name.
        """
        _check_lookup(kind, name)
        if (kind, name) in self._contested:
            raise self._contested[kind, name]
        if (kind, name) in self._offers:
            return self._offers[kind, name]
        raise self._missing(kind, name)

    def whose(self, kind: str, name: str) -> str:
        """Who offers a name, for errors: `fusion 'plain' of plugin 'acme' (acme, acme 1.0)`."""
        _check_lookup(kind, name)
        offer = self._offers.get((kind, name))
        return f"{KINDS[kind][0]} {name!r}" + (f" of plugin {offer.plugin}" if offer else "")

    def segmenter(
        self, name: str, options: Given = None, *, preset: str | None = None
    ) -> Any:  # the plugin's Segmenter
        """The segmenter `name`, made with these options."""
        return self._make("segmenters", name, options, preset)

    def style_encoder(
        self, name: str, options: Given = None, *, preset: str | None = None
    ) -> Any:  # the plugin's StyleEncoder
        """The style encoder `name`, made with these options."""
        return self._make("style_encoders", name, options, preset)

    def fusion(
        self, name: str, options: Given = None, *, preset: str | None = None
    ) -> Any:  # the plugin's Fusion
        """The fusion `name`, made with these options."""
        return self._make("fusions", name, options, preset)

    def metric(
        self, name: str, options: Given = None, *, preset: str | None = None
    ) -> Any:  # the plugin's Metric
        """The metric `name`, made with these options; it may load weights when first used."""
        return self._make("metrics", name, options, preset)

    def options(
        self, kind: str, name: str, given: Given = None, *, preset: str | None = None
    ) -> dict[str, object]:
        """Every option of a contribution by name, those not given at the preset's or default.

        Raises:
            RecipeError: as making it does.
        """
        made = self._options(kind, name, given, preset)
        return {} if made is None else {f.name: getattr(made, f.name) for f in fields(made)}

    def backbone(self, family: str) -> Factory:
        """The loader registered for a backbone family: `loader(name, device, dtype)`."""
        return self.find("backbones", family).factory

    def add_commands(self, cli: click.Group) -> None:
        """Lets every plugin add its commands to `cli`.

        One that takes a name already there, or raises, adds nothing and is recorded as failed.
        """
        for plugin in [p for p in self.plugins if "register_commands" in p.hooks and not p.error]:
            before = dict(cli.commands)
            try:
                self._hook(plugin, "register_commands")(cli=cli)
                _refuse_clash(plugin, before, cli.commands)
            except (Exception, SystemExit) as error:  # it must not take the command line down
                cli.commands.clear()
                cli.commands.update(before)
                self._plugins[plugin.name] = replace(plugin, error=error)
                continue
            added = tuple(sorted(set(cli.commands) - set(before)))
            self._plugins[plugin.name] = replace(
                plugin, offers={**plugin.offers, "commands": added}
            )

    @contextmanager
    def temporarily(self, module: object, *, name: str | None = None) -> Iterator[Host]:
        """This host with one more plugin inside the `with`: a module, or any object with hookimpls.

        One that is installed is there already, so nothing is added and nothing taken away.

        Raises:
            PluginError: what the plugin registers is refused; the host is left as it was.
        """
        if self._is_installed(module):
            yield self
            return
        label = str(name or getattr(module, "__name__", type(module).__name__))
        plugin = Plugin(label.rpartition(".")[2], label)
        if plugin.name in self._plugins:
            raise PluginError(
                f"plugin {plugin}: {self._plugins[plugin.name]} is loaded under that name already"
            )
        contested = dict(self._contested)
        try:
            self._add(plugin, module)
            yield self
        finally:
            self._remove(plugin.name)
            self._contested = contested

    def _is_installed(self, module: object) -> bool:
        """Whether an entry point brought just this module."""
        named = [name for name, loaded in self._modules.items() if loaded is module]
        return any(self._plugins[name].distribution for name in named)

    def _make(self, kind: str, name: str, options: Given, preset: str | None) -> Any:
        factory, made = self.find(kind, name).factory, self._options(kind, name, options, preset)
        return factory() if made is None else factory(made)

    def _options(
        self, kind: str, name: str, options: Given, preset: str | None
    ) -> Any:  # an instance of the factory's Options, None where it takes none
        factory = self.find(kind, name).factory
        where = f"{KINDS[kind][0]} {name!r}"
        kinds, presets = getattr(factory, "Options", None), getattr(factory, "PRESETS", {})
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            got = type(options).__name__
            raise PluginError(f"{where} options: got a {got}; give a mapping of names to values")
        if not isinstance(preset, str | None):
            raise PluginError(f"{where}: got a {type(preset).__name__} for a preset; give its name")
        if preset is not None and preset not in presets:
            with at("preset", lead=""):
                raise RecipeError(f"{where}: no preset {preset!r}; {did_you_mean(preset, presets)}")
        if kinds is None:
            if options:
                raise RecipeError(f"{where}: takes no options; got {', '.join(map(str, options))}")
            return None
        base = None if preset is None else presets[preset]
        return build_options(kinds, options, base=base, where=f"{where} options")

    def _missing(self, kind: str, name: str) -> RecipeError | PluginError:
        word, known = KINDS[kind][0], self.names(kind)
        failed = {plugin.name: plugin for plugin in self.plugins if plugin.error}
        near = get_close_matches(name, failed, n=1, cutoff=0.6)
        message = f"{word} {name!r}: nobody offers it; {did_you_mean(name, known)}"
        if not failed or (not near and get_close_matches(name, known, n=1, cutoff=0.6)):
            return RecipeError(message)
        plugin = failed[near[0]] if near else next(iter(failed.values()))
        missing = PluginError(f"{message}; plugin {plugin} failed to load: {plugin.failure}")
        missing.__cause__ = plugin.error
        return missing

    def _load_entry_points(self, allow: set[str] | None) -> None:
        found = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _source(entry)))
        names = {entry.name for entry in found}
        for name in sorted((allow or set()) - names):
            near = did_you_mean(name, names)
            error = PluginError(f"{ALLOW_LIST}: no plugin {name!r} is installed; {near}")
            self._plugins[name] = Plugin(name, "", error=error)
        for entry in found:
            if allow is None or entry.name in allow:
                self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        version = entry.dist.version if entry.dist else None
        plugin = Plugin(entry.name, entry.value, _source(entry) or None, version)
        try:
            if entry.name in self._plugins:
                rival = self._plugins[entry.name]
                plugin = replace(plugin, name=f"{entry.name} of {plugin.distribution}")
                raise PluginError(f"plugin {plugin}: its name is taken by {rival}; uninstall one")
            self._add(plugin, entry.load())
        except (Exception, SystemExit) as error:  # whatever a foreign module does on import
            self._plugins[plugin.name] = replace(plugin, error=error)

    def _add(self, plugin: Plugin, module: object) -> None:
        """Registers all a plugin offers, or nothing."""
        try:
            self._manager.register(module, plugin.name)
            self._manager.check_pending()
            hooks = tuple(sorted(c.name for c in self._manager.get_hookcallers(module) or ()))
            plugin = replace(plugin, hooks=hooks)
            self._modules[plugin.name] = module
            offers = self._collect(plugin)
        except BaseException as error:
            self._remove(plugin.name)
            if isinstance(error, pluggy.PluginValidationError | ValueError):
                raise PluginError(f"plugin {plugin}: {' '.join(str(error).split())}") from error
            raise
        self._offers.update({(offer.kind, offer.name): offer for offer in offers})
        names = {k: tuple(sorted(o.name for o in offers if o.kind == k)) for k in KINDS}
        self._plugins[plugin.name] = replace(plugin, offers={k: v for k, v in names.items() if v})

    def _collect(self, plugin: Plugin) -> list[Contribution]:
        offers: list[Contribution] = []
        for kind in KINDS:
            if f"register_{kind}" in plugin.hooks:
                register = functools.partial(self._register, plugin, kind, offers)
                self._hook(plugin, f"register_{kind}")(register=register)
        return offers

    def _register(
        self, plugin: Plugin, kind: str, offers: list[Contribution], name: str, factory: Factory
    ) -> None:
        """Checks and takes one contribution; the plugin calls it, so tracebacks show its line."""
        _check_offer(plugin, kind, name, factory)
        for rival in (*self._offers.values(), *offers):
            if (rival.kind, rival.name) == (kind, name):
                raise self._clash(kind, name, plugin, rival.plugin)
        offers.append(Contribution(kind, name, factory, plugin))

    def _clash(self, kind: str, name: str, plugin: Plugin, rival: Plugin) -> PluginError:
        error = PluginError(
            f"{KINDS[kind][0]} {name!r}: offered by plugin {rival} and by plugin {plugin}; "
            f"uninstall one, or list the plugins to load in {ALLOW_LIST}"
        )
        self._contested[kind, name] = error
        return error

    def _hook(self, plugin: Plugin, hook: str) -> Callable[..., object]:
        others = [m for name, m in self._modules.items() if name != plugin.name]
        return self._manager.subset_hook_caller(hook, others)

    def _remove(self, name: str) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        self._modules.pop(name, None)
        self._plugins.pop(name, None)
        self._offers = {k: o for k, o in self._offers.items() if o.plugin.name != name}


@functools.cache
def default_host() -> Host:
    """The host of this process: the installed plugins that LOCSTYLE_PLUGINS allows."""
    listed = os.environ.get(ALLOW_LIST)
    return Host(None if listed is None else [n.strip() for n in listed.split(",") if n.strip()])


def _check_lookup(kind: object, name: object) -> None:
    """Refuses what is no kind, or no text where a name belongs.

    Raises:
        PluginError: says what was given.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise PluginError(f"kind: got {kind!r:.80}; {did_you_mean(str(kind), KINDS)}")
    if not isinstance(name, str):
        raise PluginError(f"{KINDS[kind][0]}: got {type(name).__name__} for its name; give a text")


def _source(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else ""


def _check_offer(plugin: Plugin, kind: str, name: str, factory: Factory) -> None:
    word, method = KINDS[kind]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"plugin {plugin}: {word} name {name!r}; give lower-case words joined by hyphens"
        )
    where = f"plugin {plugin}: {word} {name!r}"
    if not callable(factory):
        raise PluginError(f"{where}: {factory!r} is not callable; give a class or a function")
    if method and isinstance(factory, type) and not callable(getattr(factory, method, None)):
        raise PluginError(f"{where}: class {factory.__qualname__} has no method `{method}`")
    check_options(factory, where)


def _refuse_clash(
    plugin: Plugin, before: Mapping[str, click.Command], after: Mapping[str, click.Command]
) -> None:
    for name, command in before.items():
        if after.get(name) is not command:
            raise PluginError(
                f"plugin {plugin}: command {name!r} exists already; choose another name"
            )

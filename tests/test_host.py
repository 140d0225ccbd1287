"""The plugin host: names, provenance, failures, options."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Literal

import pytest

from locstyle.errors import PluginError, RecipeError
from locstyle.files import cache_folder
from locstyle.plugin.hookspecs import hookimpl
from locstyle.plugin.host import Host, default_host

HOOKS = (
    "register_segmenters",
    "register_style_encoders",
    "register_fusions",
    "register_backbones",
    "register_metrics",
    "register_commands",
)


class Toy:
    """A class that passes for every kind of contribution."""

    @dataclass(frozen=True)
    class Options:
        share: float = 0.5
        rows: int = 2
        soft: bool = True
        label: str = "a"
        mode: Literal["one", "two"] = "one"
        window: tuple[float, float] = (0.0, 1.0)
        sizes: tuple[int, ...] = ()
        limit: float | None = None

    PRESETS: ClassVar = {"half": Options(share=0.25, mode="two")}

    def __init__(self, options: Options) -> None:
        self.options = options

    def plan(self, scene: object) -> None: ...
    def encode(self, images: object) -> None: ...
    def segment(self, image: object) -> None: ...
    def measure(self, output: object, reference: object, mask: object) -> None: ...


class Bare:
    def plan(self, scene: object) -> None: ...


def plugin(source: str = "", name: str = "toy_plugin", **names: object) -> ModuleType:
    """A plugin module made of `source`, with `Toy` and hookimpl at hand."""
    module = ModuleType(name)
    module.__dict__.update(hookimpl=hookimpl, Toy=Toy, Bare=Bare, **names)
    exec(textwrap.dedent(source), module.__dict__)
    return module


def offering(
    kind: str, name: object, factory: object = Toy, module: str = "toy_plugin"
) -> ModuleType:
    source = f"""
    @hookimpl
    def register_{kind}(register):
        register(offered_name, offered_factory)
    """
    return plugin(source, module, offered_name=name, offered_factory=factory)


@pytest.fixture
def host() -> Host:
    return Host(allow=())


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """install(distribution, entry, source): a distribution on sys.path, metadata and all."""

    def install(distribution: str, entry: str, source: str, version: str = "0.3") -> None:
        module = f"{distribution}_module"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[locstyle]\n{entry} = {module}\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    for name in [n for n in sys.modules if n.endswith("_module")]:
        del sys.modules[name]


GOOD = """
from locstyle.plugin.hookspecs import hookimpl

class {cls}:
    def plan(self, scene): ...

@hookimpl
def register_fusions(register):
    register("{name}", {cls})
"""


# One test for each hook, named after it.


@pytest.mark.parametrize(
    ("kind", "get"),
    [
        ("segmenters", "segmenter"),
        ("style_encoders", "style_encoder"),
        ("fusions", "fusion"),
        ("metrics", "metric"),
    ],
)
def test_register_hooks_offer_factories_by_name(host, kind, get):
    with host.temporarily(offering(kind, "toy")):
        assert host.names(kind) == ["toy"]
        made = getattr(host, get)("toy", {"rows": 3})
    assert made.options == Toy.Options(rows=3)
    assert host.names(kind) == []


def test_register_backbones_offers_the_loader_itself(host):
    def load(name: str, device: str, dtype: object) -> str:
        return name

    with host.temporarily(offering("backbones", "toy", load)):
        assert host.backbone("toy") is load


def test_a_metric_that_cannot_measure_is_refused(host):
    with pytest.raises(PluginError, match=r"metric 'bare': class Bare has no method `measure`"):
        with host.temporarily(offering("metrics", "bare", Bare)):
            pass
    with pytest.raises(RecipeError, match="metric 'lpips': nobody offers it"):
        host.metric("lpips")


def test_register_commands_adds_to_the_group(host):
    import click

    command = click.Command("toy")
    group = click.Group()
    with host.temporarily(
        plugin("@hookimpl\ndef register_commands(cli): cli.add_command(c)", c=command)
    ):
        host.add_commands(group)
        assert group.commands == {"toy": command}
        assert host.plugins[0].offers == {"commands": ("toy",)}


def test_a_plugin_that_exits_while_it_adds_commands_is_recorded_as_failed(host):
    import click

    group = click.Group()
    with host.temporarily(plugin("@hookimpl\ndef register_commands(cli): raise SystemExit(3)")):
        host.add_commands(group)
        assert isinstance(host.plugins[0].error, SystemExit) and not group.commands


def test_a_plugin_command_cannot_replace_one_of_ours(host):
    import click

    ours = click.Command("run")
    group = click.Group(commands={"run": ours})
    with host.temporarily(
        plugin("@hookimpl\ndef register_commands(cli): cli.add_command(c)", c=click.Command("run"))
    ):
        host.add_commands(group)
        assert group.commands == {"run": ours}
        assert "'run' exists already" in str(host.plugins[0].error)


@pytest.mark.parametrize("name", ["Toy", "toy_style", "toy--x", "-toy", "toy ", "", "2toy", 3])
def test_a_name_that_is_not_kebab_is_refused_in_the_plugins_frame(host, name):
    with pytest.raises(PluginError, match="lower-case words joined by hyphens") as caught:
        with host.temporarily(offering("fusions", name)):
            pass
    assert "register_fusions" in [entry.name for entry in caught.traceback]
    assert host.plugins == []


@dataclass
class Mutable:
    share: float = 1.0


@dataclass(frozen=True)
class Demanding:
    share: float


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("text", "is not callable"),
        (type("NoPlan", (), {}), "has no method `plan`"),
        (type("A", (Bare,), {"Options": dict}), "nested @dataclass"),
        (type("B", (Bare,), {"Options": Mutable}), "is mutable"),
        (type("C", (Bare,), {"Options": Demanding}), "'share' has no default"),
        (type("D", (Bare,), {"PRESETS": {"x": 1}}), "no nested dataclass"),
        (type("E", (Toy,), {"PRESETS": {"x": 1}}), "preset 'x' is 1"),
    ],
)
def test_a_factory_no_recipe_could_use_is_refused(host, factory, message):
    with pytest.raises(PluginError, match=re.escape(message)):
        with host.temporarily(offering("fusions", "toy", factory)):
            pass


def test_an_unknown_hook_is_refused_and_leaves_no_trace(host):
    with pytest.raises(PluginError, match="register_fusion"):
        with host.temporarily(plugin("@hookimpl\ndef register_fusion(register): ...")):
            pass
    with host.temporarily(offering("fusions", "toy")):
        assert host.names("fusions") == ["toy"]


def test_a_hook_with_another_argument_is_refused_and_leaves_no_trace(host):
    wrong = plugin("@hookimpl\ndef register_fusions(registry): ...")
    with pytest.raises(PluginError, match="registry"):
        with host.temporarily(wrong):
            pass
    assert host.plugins == []
    with host.temporarily(offering("fusions", "toy")):
        assert host.fusion("toy")


def test_one_module_under_two_names_is_refused(host):
    module = offering("fusions", "toy")
    with host.temporarily(module, name="a"):
        with pytest.raises(PluginError, match="already registered"):
            with host.temporarily(module, name="b"):
                pass
        assert host.fusion("toy")
    assert host.plugins == [] and host.names("fusions") == []


def test_a_duplicate_names_both_and_leaves_the_first(host):
    with host.temporarily(offering("fusions", "toy", module="first")):
        with pytest.raises(PluginError, match=r"'toy'.*'first'.*'second'"):
            with host.temporarily(offering("fusions", "toy", module="second")):
                pass
        assert isinstance(host.fusion("toy"), Toy)


def test_the_same_name_may_serve_two_kinds(host):
    with host.temporarily(offering("fusions", "toy"), name="a"):
        with host.temporarily(offering("segmenters", "toy"), name="b"):
            assert host.names("fusions") == host.names("segmenters") == ["toy"]


def test_a_plugin_offers_all_or_nothing(host):
    source = """
    @hookimpl
    def register_fusions(register):
        register("good", Toy)
        register("BAD", Toy)
    """
    with pytest.raises(PluginError):
        with host.temporarily(plugin(source)):
            pass
    assert host.names("fusions") == []


def test_factories_are_not_called_before_somebody_asks(host):
    def explode() -> None:
        raise AssertionError("called")

    with host.temporarily(offering("fusions", "toy", explode)):
        with pytest.raises(AssertionError):
            host.fusion("toy")


# Installed distributions.


def test_entry_points_record_their_distribution(installed):
    installed("acme", "acme-plugin", GOOD.format(cls="Acme", name="acme-fusion"))
    found = Host(allow=["acme-plugin"])
    (only,) = found.plugins
    assert (only.distribution, only.version, only.module) == ("acme", "0.3", "acme_module")
    assert only.offers == {"fusions": ("acme-fusion",)} and only.error is None
    assert found.find("fusions", "acme-fusion").plugin.name == only.name


def test_an_installed_plugin_may_be_asked_for_temporarily(installed):
    installed("acme", "acme", GOOD.format(cls="Acme", name="acme-fusion"))
    host = Host(allow=["acme"])
    import acme_module

    with host.temporarily(acme_module):
        assert host.fusion("acme-fusion")
    (only,) = host.plugins
    assert only.distribution == "acme" and host.fusion("acme-fusion")


def test_a_plugin_that_fails_to_import_is_reported_and_skipped(installed):
    installed("acme", "acme", GOOD.format(cls="Acme", name="acme-fusion"))
    installed("broken", "broken", "import a_module_nobody_has")
    found = Host(allow=["acme", "broken"])
    assert [plugin.name for plugin in found.plugins if plugin.error] == ["broken"]
    assert found.fusion("acme-fusion")
    with pytest.raises(
        PluginError, match=r"'broken' .broken_module, broken 0.3. failed to load"
    ) as caught:
        found.fusion("broken-fusion")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    with pytest.raises(RecipeError, match="did you mean 'acme-fusion'"):
        found.fusion("acme-fuson")


def test_a_module_that_exits_on_import_does_not_take_us_along(installed):
    installed("rude", "rude", "raise SystemExit(3)")
    assert isinstance(Host(allow=["rude"]).plugins[0].error, SystemExit)


def test_two_distributions_with_one_name_leave_it_to_neither(installed):
    installed("acme", "acme", GOOD.format(cls="Acme", name="swap"))
    installed("bolt", "bolt", GOOD.format(cls="Bolt", name="swap"))
    found = Host(allow=["acme", "bolt"])
    with pytest.raises(PluginError, match=r"'swap'.*acme 0.3.*bolt 0.3.*LOCSTYLE_PLUGINS"):
        found.fusion("swap")
    assert Host(allow=["bolt"]).fusion("swap")


def test_two_entry_points_with_one_name_are_reported(installed):
    installed("acme", "same", GOOD.format(cls="Acme", name="swap"))
    installed("bolt", "same", GOOD.format(cls="Bolt", name="swop"))
    found = Host(allow=["same"])
    assert [plugin.name for plugin in found.plugins] == ["same", "same of bolt"]
    assert "its name is taken" in str(found.plugins[1].error)


def test_the_allow_list_comes_from_the_environment(installed, monkeypatch):
    installed("acme", "acme", GOOD.format(cls="Acme", name="swap"))
    for value, expected in {"": [], "acme": ["acme"], " acme , ": ["acme"]}.items():
        monkeypatch.setenv("LOCSTYLE_PLUGINS", value)
        assert [p.name for p in default_host.__wrapped__().plugins] == expected
    monkeypatch.setenv("LOCSTYLE_PLUGINS", "acmee")
    (missing,) = default_host.__wrapped__().plugins
    assert "did you mean 'acme'" in str(missing.error)


def test_a_missing_name_offers_the_nearest(host):
    with host.temporarily(offering("fusions", "singlepass")):
        with pytest.raises(RecipeError, match=r"fusion 'singelpass'.*did you mean 'singlepass'"):
            host.fusion("singelpass")
    with pytest.raises(RecipeError, match="none is known"):
        host.segmenter("fastsam")


@pytest.mark.parametrize("odd", [None, 3, ["a"], b"singlepass", {}], ids=repr)
@pytest.mark.parametrize(
    "look",
    [
        lambda host, odd: host.segmenter(odd),
        lambda host, odd: host.style_encoder(odd),
        lambda host, odd: host.fusion(odd),
        lambda host, odd: host.metric(odd),
        lambda host, odd: host.backbone(odd),
        lambda host, odd: host.options("fusions", odd),
        lambda host, odd: host.find("fusions", odd),
        lambda host, odd: host.find(odd, "toy"),
        lambda host, odd: host.names(odd),
        lambda host, odd: host.whose("fusions", odd),
        lambda host, odd: host.whose(odd, "toy"),
        lambda host, odd: host.fusion("toy", odd or 3),
        lambda host, odd: host.fusion("toy", preset=odd or 3),
    ],
)
def test_lookups_refuse_odd_values_in_words(host, look, odd):
    with host.temporarily(offering("fusions", "toy")):
        with pytest.raises(PluginError, match=r"got .*; (give|known)"):
            look(host, odd)


# Options.


@pytest.fixture
def toy(host):
    with host.temporarily(offering("fusions", "toy")):
        yield lambda **options: host.fusion("toy", options).options


def test_options_take_what_recipes_can_write(toy):
    assert toy(share=1).share == 1.0 and isinstance(toy(share=1).share, float)
    assert toy(window=[0, 0.5]).window == (0.0, 0.5)
    assert toy(sizes=[1, 2, 3]).sizes == (1, 2, 3)
    assert toy(mode="two").mode == "two"
    assert toy(limit=None).limit is None and toy(limit=2).limit == 2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": 1}, r"toy' options.shares: no such option; did you mean 'share'"),
        ({"share": "1"}, "share: got '1'; give a number"),
        ({"share": True}, "share: got True"),
        ({"share": float("nan")}, "share: got nan"),
        ({"rows": 1.0}, "rows: got 1.0; give a whole number"),
        ({"rows": True}, "rows: got True"),
        ({"soft": 1}, "soft: got 1; give true or false"),
        ({"label": 1}, "label: got 1; give a text"),
        ({"mode": "three"}, "mode: got 'three'; give one of 'one', 'two'"),
        ({"window": [0]}, r"window: got \[0\]; give a list of 2: a number, a number"),
        ({"window": [0, "x"]}, r"window\[1\]: got 'x'"),
        ({"window": "ab"}, "window: got 'ab'"),
        ({"limit": "x"}, "limit: got 'x'; give a number or null"),
    ],
)
def test_wrong_options_are_refused(toy, options, message):
    with pytest.raises(RecipeError, match=message):
        toy(**options)


def test_presets_are_a_base_for_options(host):
    with host.temporarily(offering("fusions", "toy")):
        made = host.fusion("toy", {"rows": 7}, preset="half")
        assert made.options == Toy.Options(share=0.25, mode="two", rows=7)
        with pytest.raises(RecipeError, match="no preset 'hal'; did you mean 'half'"):
            host.fusion("toy", preset="hal")


def test_a_factory_without_options_takes_none(host):
    with host.temporarily(offering("fusions", "bare", Bare)):
        assert isinstance(host.fusion("bare"), Bare)
        with pytest.raises(RecipeError, match="takes no options; got share"):
            host.fusion("bare", {"share": 1})


# The docs and the command line.


def test_every_hook_is_documented_with_its_exact_signature():
    from inspect import signature

    from locstyle.plugin import hookspecs

    page = Path(__file__).parents[1].joinpath("docs/plugins.md").read_text(encoding="utf-8")
    for hook in HOOKS:
        spec = getattr(hookspecs, hook)
        line = f"def {hook}{signature(spec)}".replace("'", "")
        assert line in page, line
        assert spec.__doc__.strip().splitlines()[0] in page, hook


def test_listing_plugins_does_not_import_torch():
    code = """
import sys
from locstyle.cli import main
try:
    main(["plugins"])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "diffusers", "transformers", "peft", "cv2"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr


def test_the_cache_folder_is_the_platforms_unless_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LOCSTYLE_CACHE", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert cache_folder().name == "locstyle"
    assert cache_folder().is_relative_to(tmp_path)
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "large"))
    assert cache_folder() == tmp_path / "large"
    assert not list(tmp_path.iterdir())

"""Options are shown where people look: with type, default, and what the code's comments say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from click.testing import CliRunner, Result

import locstyle as ls
from locstyle.cli import main
from locstyle.plugin.host import KINDS
from locstyle.plugin.meanings import meanings
from locstyle.plugin.options import build_options, options_table, presets_table, written


class Toy:
    """A fusion with every form of comment."""

    @dataclass(frozen=True)
    class Options:
        bare: str = ""
        share: float = 0.5  # how much; 0 is none
        mode: Literal["one", "two"] = "one"  # which of them
        # stands above: a field without a comment of its own
        window: tuple[float, float] = (0.0, 1.0)
        size: int | None = None  # begins here
        # and goes on here
        soft: bool = True  # the last
        # goes on, too

    PRESETS: ClassVar = {"half": Options(share=0.25, window=(0.0, 0.5), soft=False)}

    def __init__(self, options: Options) -> None:
        self.options = options

    def plan(self, scene: object) -> None: ...


def test_comments_of_fields_are_found_wherever_they_stand() -> None:
    assert meanings(Toy.Options) == {
        "share": "how much; 0 is none",
        "mode": "which of them",
        "window": "stands above: a field without a comment of its own",
        "size": "begins here and goes on here",
        "soft": "the last goes on, too",
        "bare": "",
    }


def test_what_has_no_source_has_no_meanings() -> None:
    made: dict[str, type] = {}
    exec("from dataclasses import dataclass\n@dataclass(frozen=True)\nclass X:\n  a: int = 1", made)
    assert meanings(made["X"]) == {} and meanings(int) == {}


def test_a_table_has_type_default_and_meaning_and_presets_what_they_change() -> None:
    table = options_table(Toy)
    assert table["mode"] == {
        "type": "one of 'one', 'two'",
        "default": "one",
        "meaning": "which of them",
    }
    assert presets_table(Toy) == {"half": {"share": 0.25, "window": (0.0, 0.5), "soft": False}}


def test_a_default_is_written_as_it_can_be_typed() -> None:
    from locstyle.cli.shared import read_options

    typed = tuple(
        f"{name}={written(facts['default'])}" for name, facts in options_table(Toy).items()
    )
    assert build_options(Toy.Options, read_options(typed)) == Toy.Options()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "backbones"])
def test_every_option_of_ours_says_what_it_means(kind: str) -> None:
    host = ls.Host()
    for name in host.names(kind):
        for option, facts in options_table(host.find(kind, name).factory).items():
            assert facts["meaning"], f"{name}: {option} has no comment"


@pytest.fixture
def locstyle() -> Callable[..., Result]:
    host = ls.Host()
    return lambda *words: CliRunner().invoke(main, words, obj=host)


def test_plugins_shows_each_option_of_one(locstyle: Callable[..., Result]) -> None:
    shown = locstyle("plugins", "lora").output
    assert "Options of style encoder 'lora', each as -O KEY=VALUE" in shown
    assert "rank=16" in shown and "more holds more" in shown and "a whole number" in shown
    assert "paper" in shown and "lr=0.0002" in shown and "singlepass" not in shown
    assert "each as -S KEY=VALUE" in locstyle("plugins", "classic").output
    both = locstyle("plugins", "deadiff").output  # a plugin, and the fusion in it
    assert "fusion 'deadiff'" in both and "style encoder 'qformer'" in both
    (only,) = json.loads(locstyle("plugins", "qformer", "--json").output)
    assert only["offers"]["style_encoders"]["qformer"]["options"]["weights"]["meaning"]
    wrong = locstyle("plugins", "lroa")
    assert wrong.exit_code == 2 and "did you mean 'lora'?" in wrong.output


def test_help_shows_the_options_of_what_is_named(locstyle: Callable[..., Result]) -> None:
    for words in (
        ("lora", "--help"),
        ("-h", "lora"),
        ("a.png", "-o", "x.safetensors", "lora", "-h"),
    ):
        shown = locstyle("train", *words).output
        assert "Options of style encoder 'lora'" in shown and "rank=16" in shown
        assert "concept" not in shown
    assert "Options of" not in locstyle("train", "--help").output
    shown = locstyle("stylize", "--fusion=vct", "--segmenter", "classic", "--help").output
    assert "Options of fusion 'vct'" in shown and "Options of segmenter 'classic'" in shown


def test_a_plugin_whose_code_fails_or_exits_does_not_end_the_list(
    locstyle: Callable[..., Result],
) -> None:
    class Rude:
        prompts = frozenset({"everything"})

        def __init__(self) -> None:
            raise SystemExit(3)

        def segment(self, image: object, prompt: object) -> None: ...

    class Offers:
        @ls.hookimpl
        def register_segmenters(self, register: ls.Register) -> None:
            register("rude", Rude)

        @ls.hookimpl
        def register_commands(self, cli: object) -> None:
            raise SystemExit(4)

    with ls.Host(allow=("lora",)).temporarily(Offers(), name="rude") as host:
        done = CliRunner().invoke(main, ["plugins"], obj=host)
    assert done.exit_code == 0 and "style encoders: lora" in done.output
    assert "failed and was skipped: SystemExit: 4" in done.output
    assert "rude failed: SystemExit: 3" in done.output

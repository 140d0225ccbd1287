"""Every shell block of README and docs runs, or says why it is not run here.

On the tiny backbone under the name of the shipped one, with random styles under the shipped names,
one step to an edit and one to a training; segmenters whose weights are yours find what `classic`
does. A block marked "```sh not run: WHY" is read only: its options must be there.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

import locstyle as ls
from locstyle.cli import main
from locstyle.testing import random_style, random_tokens, random_words, tiny_backbone

ROOT = Path(__file__).parents[1]
_READMES = sorted((ROOT / "plugins").glob("*/README.md"))
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
OTHERS = ["benchmarks/README.md", *(f"plugins/{p.parent.name}/README.md" for p in _READMES)]
ELSEWHERE = {"docs/plugins.md": "tests/test_plugin_tutorial.py"}
PLUGINS = (
    "lora",
    "concept",
    "reference",
    "singlepass",
    "diffstyler",
    "magicstyle",
    "vct",
    "classic",
)
PICTURES = ("photo.jpg", "painting.jpg", "one.jpg", "two.jpg", "wall.jpg", "orange.png", "pine.png")
MASKS = ("sky.png", "house.png", "tree.png", "lake.png")


def blocks(page: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Of every shell block: why it is not run, or "", and its commands as words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for info, body in re.findall(r"^```sh([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = body.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        yield info.strip(), [one for one in words if one]


WITH_BLOCKS = [page for page in PAGES if page not in ELSEWHERE and any(blocks(page))]


def options_of(command: str, name: str) -> Any:
    """The real options of a plugin, whose weights are not needed for them."""
    return ls.Host().find(command, name).factory.Options  # type: ignore[attr-defined]


def stand_in(name: str) -> type:
    """A segmenter under a name whose weights are somebody's: its options, what `classic` finds."""
    found = ls.Host(allow=("classic",)).segmenter("classic")

    class Segmenter:
        Options = options_of("segmenters", name)
        PRESETS = getattr(ls.Host().find("segmenters", name).factory, "PRESETS", {})
        prompts = found.prompts

        def __init__(self, options: object) -> None: ...

        def segment(self, image: Image.Image, prompt: ls.Prompt) -> list[ls.Segment]:
            return found.segment(image, prompt)  # type: ignore[no-any-return]

    return Segmenter


class Glance:
    """Stands in for the Q-Former, whose weights fit the real `mini` alone."""

    makes = frozenset({"tokens"})
    instant = True

    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        return ls.Style(request.name, backbone.family, tokens=random_tokens(backbone).tokens)


@pytest.fixture(scope="module")
def host() -> Iterator[ls.Host]:
    mini = tiny_backbone(family="mini")

    class StandIns:
        @ls.hookimpl
        def register_backbones(self, register: ls.Register) -> None:
            register("mini", lambda name, device, dtype: mini)

        @ls.hookimpl
        def register_style_encoders(self, register: ls.Register) -> None:
            register("qformer", Glance)

        @ls.hookimpl
        def register_segmenters(self, register: ls.Register) -> None:
            for name in ("fastsam", "sam"):
                register(name, stand_in(name))

    with ls.Host(allow=PLUGINS).temporarily(StandIns(), name="stand-ins") as found:
        yield found


@pytest.fixture
def folder(host: ls.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with everything that the pages' commands name."""
    monkeypatch.chdir(tmp_path)
    photo = Image.new("RGB", (640, 480), (70, 120, 80))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((140, 90, 290, 260), (190, 60, 60))
    draw.ellipse((360, 90, 480, 210), (230, 200, 60))
    for name in PICTURES:
        photo.save(name)
    for number, name in enumerate(MASKS):
        mask = Image.new("L", photo.size)
        mask.paste(255, (160 * number, 0, 160 * number + 160, 480))
        mask.save(name)
    Path("loras").mkdir()
    Path("examples").symlink_to(ROOT / "examples")
    backbone = host.backbone("mini")("mini", "cpu", None)
    for name in (path.stem for path in (ROOT / "loras").glob("*.safetensors")):
        make = random_words if name.endswith("-word") else random_style
        make(backbone).save(f"loras/{name}.safetensors")
    return tmp_path


def quick(words: Sequence[str]) -> list[str]:
    """The same command with fewer steps."""
    made = [re.sub(r"^steps=\d+$", "steps=1", word) for word in words]
    # A text of the tiny backbone has 16 letters: of a prompt with a learned word, the word is left.
    made = [re.sub(r"^(\d=)?.*(<[\w-]+>).*$", r"\1\2", word) for word in made]
    if words[0] in ("stylize", "run") and "--quick" not in words:
        made += ["--steps", "1"]
    if words[:2] in (["train", "lora"], ["train", "concept"]) and "steps=1" not in made:
        made += ["-O", "steps=1", "-O", "crops=2"]
    return made


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a command warns of, its user is told
@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_every_command_of_the_page_runs(page: str, host: ls.Host, folder: Path) -> None:
    for why_not, commands in blocks(page):
        assert not why_not or re.match(r"not run: .+", why_not), f"{page}: ```sh {why_not}"
        for name, *words in commands:
            shown = shlex.join([name, *words])
            if name != "locstyle":
                HANDLED[name](words, shown)
            elif why_not:
                _read(words, shown)
            else:
                done = CliRunner().invoke(main, quick(words), obj=host)
                assert done.exit_code == 0, f"{page}: {shown}\n{done.output}\n{done.exception!r}"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_every_indented_command_can_be_read(page: str) -> None:
    """Those that make a page's own figures: hours, most of them. Words in brackets are left out."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^    ((?:locstyle|python|make|pip) .*)$", text, re.MULTILINE):
        name, *words = shlex.split(re.sub(r"\[.*?\]|…", "", line), comments=True)
        (_read if name == "locstyle" else HANDLED[name])(words, line)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_python_of_the_illustrators_page_runs(
    host: ls.Host, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/i-want.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    editor = ls.Editor(host.backbone("mini")("mini", "cpu", None), host)
    monkeypatch.setattr(ls.Editor, "load", lambda name: editor)
    names: dict[str, Any] = {}
    exec(compile(code, "i-want.md", "exec"), names)
    assert Path("preview.png").exists() and Path("out.png").exists() and Path("so-far.png").exists()
    names["pressed"].set()
    with pytest.raises(names["Stopped"]):
        editor.run(names["edit"], names["on_step"])


def _read(words: list[str], shown: str) -> None:
    """That command and options are there; nothing is done."""
    context = click.Context(main, obj=ls.Host())
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, shown
        command, words = found, words[1:]
    with suppress(click.exceptions.Exit):  # of --help
        command.make_context("read", words, parent=context).close()


def _installs(words: list[str], shown: str) -> None:
    """An install names what is there: this folder, by its extras, or other packages."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for word in words:
        assert not word.startswith("locstyle"), f"{shown}: it is on no index; install '.[extra]'"
        if match := re.fullmatch(r"\.\[(.*)\]", word):
            assert set(match[1].split(",")) <= extras["optional-dependencies"].keys(), shown


def _makes(words: list[str], shown: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words), shown


def _python(words: list[str], shown: str) -> None:
    for word in words:
        assert not word.endswith(".py") or (ROOT / word).exists(), shown


def _submits(words: list[str], shown: str) -> None:
    """What a scheduler is asked to run."""
    (wrapped,) = words[words.index("--wrap") + 1 :]
    name, *inner = shlex.split(wrapped)
    assert name == "locstyle", shown
    _read(inner, shown)


HANDLED: dict[str, Callable[[list[str], str], None]] = {
    "pip": _installs,
    "make": _makes,
    "python": _python,
    "python3": _python,
    "sbatch": _submits,
}


def test_no_page_says_to_install_from_an_index() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "pip install 'locstyle" not in text and "pip install locstyle" not in text, page

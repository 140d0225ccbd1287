"""The house rules that a reader relies on: imports go one way, plugins see public names, imports
are light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

import locstyle

ROOT = Path(__file__).parents[1]
# From the ground up; a module may import from its own floor and from those below it.
FLOORS = (
    {"errors"},
    {"brief", "extras", "files", "measure", "selection", "sheet", "uncollected"}
    | {"engine.attend", "engine.call", "engine.kept", "engine.noise"}
    | {"engine.schedule", "engine.seal", "engine.sites", "engine.solvers", "engine.tiles"}
    | {"engine.progress", "engine.turns"},
    {"bookmark", "edit", "kinds", "masks", "photo", "plugin", "segments", "style"},
    {"engine.backbone", "engine.backbones", "engine.intervene", "engine.trajectory"},
    {"engine.ownership", "engine.plan", "engine.scene", "engine.training"},
    {"engine.denoise", "engine.interventions"},
    {"card", "frame_sheet", "inspection", "job", "result"},
    {"editor"},
    {"replay", "testing"},
    {"batches"},
    {"cli", "__main__"},
)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "locstyle").rglob("*.py")):
        parts = path.relative_to(ROOT / "locstyle").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name not in ("", "engine"):
            yield name, path


def room(name: str) -> str:
    """A folder counts as one module; the engine's are rooms of its own."""
    return ".".join(name.split(".")[: 2 if name.startswith("engine") else 1])


def runtime_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run; those under TYPE_CHECKING tie no knots."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from runtime_imports(node)


def own_imports(path: Path) -> Iterator[str]:
    for node in runtime_imports(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("locstyle"):
            base = (node.module or "").removeprefix("locstyle").removeprefix(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".strip(".")
                place = ROOT / "locstyle" / Path(*full.split("."))
                yield full if place.with_suffix(".py").exists() or place.is_dir() else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("locstyle."):
                    yield alias.name.removeprefix("locstyle.")


def floor(name: str) -> int:
    name = room(name)
    for number, names in enumerate(FLOORS):
        if name in names:
            return number
    raise AssertionError(f"{name} stands on no floor; add it to FLOORS and to DESIGN.md")


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda v: str(v)[-40:])
def test_imports_go_down_only(name: str, path: Path) -> None:
    for imported in own_imports(path):
        if imported:  # the package itself offers its version to anybody
            assert floor(imported) <= floor(name), f"{name} imports {imported} from above"


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Every circle of imports, each as the names that can all reach one another."""
    reach = {name: reached(arrows, name) for name in arrows}
    tied = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, set())))
        for name in arrows
        if name in reach[name]
    }
    return sorted(map(list, tied))


def reached(arrows: Mapping[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    front = [name]
    while front:
        new = arrows.get(front.pop(), set()) - found
        found |= new
        front += new
    return found


def test_no_circle_of_imports_within_a_floor_or_a_folder() -> None:
    files = {name: {one for one in own_imports(path) if one} for name, path in modules()}
    rooms: dict[str, set[str]] = {}
    for name, found in files.items():
        others = {room(one) for one in found} - {room(name)}
        rooms.setdefault(room(name), set()).update(others)
    assert circles(files) == []
    assert circles(rooms) == []


def test_a_circle_is_seen() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert circles(arrows) == [["b", "c"]]


def test_core_never_imports_plugins() -> None:
    for _, path in modules():
        assert not re.search("locstyle_plugins|locstyle_lab", path.read_text("utf-8")), path


WORLD = "locstyle_plugins.world"
"""The one package of ours that our other plugins may import, by its public face."""


def imported(path: Path) -> Iterator[str]:
    """The modules a file imports anywhere in it, relative ones by their full name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = [f"locstyle_{parts[0]}", *parts[1:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            whole = base in ("locstyle_plugins", "locstyle_lab")
            yield from (f"{base}.{alias.name}" for alias in node.names) if whole else (base,)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def files_in(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files_in("plugins") + files_in("lab"), ids=lambda p: p.stem)
def test_plugins_import_only_public_names(path: Path) -> None:
    for name in imported(path):
        assert not name.startswith("locstyle."), f"{path} imports {name}"


@pytest.mark.parametrize("path", files_in("plugins"), ids=lambda p: p.stem)
def test_a_plugin_imports_no_other_but_the_world(path: Path) -> None:
    own = path.relative_to(ROOT / "plugins").with_suffix("").parts[0]
    for name in imported(path):
        _, ours, inside = name.partition("locstyle_plugins.")
        mine = inside.split(".")[0] == own
        assert not ours or mine or name == WORLD, f"{path} imports {name}"
        assert not name.startswith("locstyle_lab"), f"{path} imports {name}"
        assert own != "world" or mine or not name.startswith("locstyle"), f"{path} imports {name}"


@pytest.mark.parametrize("path", files_in("plugins") + files_in("lab"), ids=lambda p: p.stem)
def test_a_plugin_reads_no_folder_but_its_own(path: Path) -> None:
    assert not re.search(r"__file__\W+parent(s|\W+parent)", path.read_text("utf-8")), path


def test_the_engine_knows_no_files_plugins_or_command_line() -> None:
    banned = {"click", "rich", "pluggy", "yaml", "peft"}
    for name, path in modules():
        if name.startswith("engine"):
            for node in runtime_imports(ast.parse(path.read_text("utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names]
                assert not banned & {n.split(".")[0] for n in names}, path


def test_no_two_classes_are_called_alike() -> None:
    found: dict[str, Path] = {}
    for path in files_in("locstyle") + files_in("plugins") + files_in("lab"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                other = found.setdefault(node.name, path)
                assert other == path, f"{node.name}: {other} and {path}"


def test_every_public_name_exists_and_is_documented() -> None:
    for name in locstyle.__all__:
        public = getattr(locstyle, name)
        if callable(public) and getattr(public, "__module__", "").startswith("locstyle"):
            assert public.__doc__, name


WEIGHTS_ONLY = 'torch.load(path, map_location="cpu", weights_only=True)'
"""The one reading of a pickle: what `locstyle convert --allow-ckpt` comes to, and a package's own
weights, whose SHA-256 is in the code."""
MAY_READ = {ROOT / "plugins" / "deadiff" / "pickled.py", ROOT / "plugins" / "eye.py"}


def test_nothing_reads_pickles() -> None:
    for folder in ("locstyle", "plugins", "lab", "benchmarks", "scripts", "examples"):
        for path in files_in(folder):
            text = path.read_text("utf-8")
            if path in MAY_READ:
                assert text.count(WEIGHTS_ONLY) == 1
                text = text.replace(WEIGHTS_ONLY, "")
            found = re.search(r"(?<!safetensors\.)torch\.(load|save)\(|pickle\.loads?", text)
            assert found is None, f"{path}: {found}"


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import locstyle; locstyle.hookimpl; locstyle.RecipeError", ("torch", "numpy", "PIL")),
        ("import locstyle; locstyle.default_host()", ("torch", "numpy", "peft", "scipy")),
        ("import locstyle; locstyle.Edit", ("torch", "diffusers")),
        ("import locstyle; locstyle.Editor", ("diffusers", "transformers", "peft")),
    ],
)
def test_imports_are_as_light_as_promised(code: str, heavy: tuple[str, ...]) -> None:
    report = f"{code}; import sys; print(*[n for n in {heavy!r} if n in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_every_package_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    shipped = project["tool"]["setuptools"]["packages"]
    names = {"locstyle": "locstyle"} | {
        folder: name for name, folder in project["tool"]["setuptools"]["package-dir"].items()
    }
    found = [
        ".".join([names[folder], *path.parent.relative_to(ROOT / folder).parts])
        for folder in names
        for path in (ROOT / folder).rglob("__init__.py")
    ]
    assert sorted(found) == sorted(shipped)


@pytest.mark.parametrize(
    "words", [["styles"], ["plugins"], ["segment", "photo.png", "-o", "parts"]], ids=" ".join
)
def test_commands_that_run_no_model_do_without_torch(words: list[str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.eye(64, dtype=np.uint8) * 200)
    code = (
        "import sys; from locstyle.cli import main; "
        f"main({words!r}, standalone_mode=False); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_every_stub_that_names_are_loaded_from_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    stubs = [path.parent.relative_to(ROOT) for path in (ROOT / "locstyle").rglob("__init__.pyi")]
    assert len(stubs) > 1
    assert all("*.pyi" in data[".".join(stub.parts)] for stub in stubs)

"""The backbone `mini` is cheap to offer."""

import subprocess
import sys

import locstyle_plugins.mini


def test_importing_the_plugin_loads_no_network_library() -> None:
    code = "import sys, locstyle_plugins.mini; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"torch", "diffusers", "transformers", "scipy", "skimage"}
    assert not heavy & set(result.stdout.split())


def test_the_plugin_registers_its_backbone() -> None:
    found: dict[str, object] = {}
    locstyle_plugins.mini.register_backbones(found.__setitem__)
    assert found == {"mini": locstyle_plugins.mini.load}

"""Recipes of locstyle 0.1, `locstyle: 1`: what they left open meant what 0.1 made of it.

Nothing here changes any more. An option that a fusion learned later stands in the tables with the
value that does what 0.1 did.
"""

from __future__ import annotations

from collections.abc import Mapping

from locstyle.edit.recipe import Plain
from locstyle.errors import RecipeError

NEW = (
    "accelerator",
    "backbone_config",
    "prompts",
    "solver",
    "quick",
    "detail",
    "frames",
    "grain",
    "palette",
)
"""Keys of an edit that 0.1 did not know."""

_SIZES = {"mini": 128}
"""Working sizes of backbones whose own has changed since."""

_PLAIN: Mapping[str, Mapping[str, Plain]] = {
    "diffstyler": {
        "guidance": 2.0,
        "style_in_negative": False,
        "attention_share": 0.5,
        "feature_share": 0.6,
        "base_attention_share": 1.0,
        "base_feature_share": 1.0,
        "feature_source": "base",
        "lora_in_injected_layers": True,
        "masks": "soft",
        "background": "trajectory",
        "fresh_noise": 0.0,
        "inversion_steps": None,
        "sampling": None,
    },
    "singlepass": {
        "guidance": None,
        "structure": 0.4,
        "style_in_negative": False,
        "apart": True,
        "norms_apart": False,
        "beta": 24.0,
        "temperature": 1.5,
        "adain": True,
        "tone": 0.0,
    },
    "magicstyle": {
        "form": "concat",
        "beta": 24.0,
        "lam": 1.0,
        "gamma": 0.25,
        "temperature": 1.5,
        "adain": True,
        "layers": "all",
        "start": 0.0,
        "stop": 1.0,
        "aligned": True,
        "attention_share": 0.5,
        "guidance": 2.0,
    },
    "vct": {
        "guidance": 4.0,
        "self_share": 0.9,
        "cross_share": 0.2,
        "most_tokens": 1024,
        "equaliser": 1.0,
        "equaliser_shifted": False,
        "source": "trajectory",
        "fresh_noise": 0.0,
        "refine": 0,
        "pivot_iterations": 50,
    },
    "deadiff": {
        "guidance": 3.0,
        "mode": "style",
        "outside": "plain",
        "attention_share": 0.5,
        "feature_share": 0.6,
        "fresh_noise": 0.0,
        "one_softmax": False,
        "sampling": None,
    },
}
_PRESETS: Mapping[tuple[str, str], Mapping[str, Plain]] = {
    ("diffstyler", "reference"): {
        "guidance": 10.5,
        "style_in_negative": True,
        "feature_source": "self",
        "lora_in_injected_layers": False,
        "masks": "hard",
        "background": "base",
        "inversion_steps": 999,
    },
    ("magicstyle", "portrait"): {"beta": 2.0, "gamma": 0.75},
    ("magicstyle", "styleid"): {"form": "blend", "lam": 1.0, "gamma": 0.75, "layers": "late"},
    ("vct", "reference"): {
        "guidance": 7.5,
        "equaliser": 0.5,
        "equaliser_shifted": True,
        "source": "pivot",
    },
    ("vct", "subject"): {"self_share": 0.3, "fresh_noise": 1.0},
    ("deadiff", "reference"): {
        "guidance": 7.5,
        "outside": "zeros",
        "attention_share": 0,
        "feature_share": 0,
        "fresh_noise": 1.0,
    },
}


def completed(recipe: Mapping[str, Plain]) -> dict[str, Plain]:
    """A recipe of version 1 as the same one of today's version: what it left open, written out.

    Fusions that did not come with 0.1 keep their own defaults.

    Raises:
        RecipeError: a key that version 1 does not have.
    """
    for key in NEW:
        if key in recipe:
            raise RecipeError(
                "no such key in a recipe of version 1; write `locstyle: 2`", place=key
            )
    fusion = _fusion(recipe.get("fusion"))
    options = fusion["options"] if isinstance(fusion, Mapping) else {}
    refine = options.get("refine", 0) if isinstance(options, Mapping) else 0
    given: dict[str, Plain] = {"solver": "ddim", "steps": 50, **recipe, "fusion": fusion}
    given |= {"palette": "drawn", "prompts": "plain"}
    if given.get("inversion_refine") is None:
        given["inversion_refine"] = refine
    if given.get("size") is None:
        given["size"] = _SIZES.get(str(recipe.get("backbone", "mini")), "native")
    return given


def _fusion(given: Plain) -> Plain:
    """A choice of fusion with every option 0.1 had; what is no such choice stays for the checks."""
    choice = {"name": given} if isinstance(given, str) else given
    choice = {} if choice is None else choice
    if not isinstance(choice, Mapping):
        return given
    name, preset = choice.get("name", "singlepass"), choice.get("preset")
    options = choice.get("options", {})
    if not isinstance(options, Mapping):
        return given
    was = {**_PLAIN.get(str(name), {}), **_PRESETS.get((str(name), str(preset)), {})}
    return {**choice, "name": name, "options": {**was, **options}}

"""`locstyle styles`: the styles that can be named."""

from __future__ import annotations

from pathlib import Path

import click

from locstyle.cli.shared import json_option, print_json
from locstyle.errors import StyleError


@click.command()
@json_option
def styles(as_json: bool) -> None:
    """List the styles in this folder, in ./loras, and the shipped ones.

    1:4 says that a style was learned with four pixels of its picture to a working pixel.
    """
    from locstyle.style import list_styles

    found = [_facts(path) for path in list_styles()]
    if as_json:
        print_json(found)
        return
    for style in found:
        click.echo(_line(style))
    if not found:
        click.echo("none; make one with: locstyle train lora PICTURE -o NAME.safetensors", err=True)


def _facts(path: Path) -> dict[str, str]:
    from locstyle.style import read_header

    try:
        header = read_header(path)
    except StyleError as error:
        return {"name": path.stem, "path": str(path), "error": str(error)}
    about = ("family", "kind", "rank", "scale", "trigger", "palette")
    keys = (*about, "licence", "made_by", "base_digest")
    return {"name": path.stem, "path": str(path), **{k: header[k] for k in keys if k in header}}


def _line(style: dict[str, str]) -> str:
    if "error" in style:
        return f"{style['name']:<16} unreadable: {style['error']}"
    family, kind = style.get("family", "other tool's"), style.get("kind", "deltas")
    size = f"rank {style.get('rank', '?')}" if kind == "deltas" else kind
    scale = f"1:{style['scale']}" if "scale" in style else ""
    facts = f"{style['name']:<16} {family:<8} {size:<9} {scale:<6}"
    return f"{facts} {style.get('trigger', '')!r}  {style['path']}"

"""`locstyle plugins`: who offers what."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from locstyle.cli.shared import json_option, print_json
from locstyle.plugin.options import options_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from locstyle.plugin.host import Host, Plugin


@click.command()
@json_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List plugins and what they offer."""
    host: Host = ctx.obj
    ours = cast(click.Context, ctx.parent).command
    host.add_commands(click.Group(commands=dict(cast(click.Group, ours).commands)))
    if as_json:
        print_json([_facts(host, plugin) for plugin in host.plugins])
        return
    for plugin in host.plugins:
        for line in _lines(host, plugin):
            click.echo(line)


def _facts(host: Host, plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "hooks": list(plugin.hooks),
        "offers": {
            kind: list(names) if kind == "commands" else {n: _details(host, kind, n) for n in names}
            for kind, names in plugin.offers.items()
        },
        "error": plugin.failure,
    }


def _details(host: Host, kind: str, name: str) -> dict[str, Collection[str]]:
    factory = host.find(kind, name).factory
    details: dict[str, Collection[str]] = {
        "options": options_table(factory),
        "presets": sorted(getattr(factory, "PRESETS", {})),
    }
    if kind == "segmenters":
        details["prompts"] = sorted(getattr(host.segmenter(name), "prompts", ()))
    return details


def _lines(host: Host, plugin: Plugin) -> Iterator[str]:
    yield f"{plugin.name} ({plugin.source}, {plugin.module})"
    if plugin.failure:
        yield f"  failed and was skipped: {plugin.failure}"
    for kind, names in plugin.offers.items():
        yield f"  {kind.replace('_', ' ')}: {', '.join(names)}"
        for name in names if kind != "commands" else ():
            for what, words in _details(host, kind, name).items():
                if words:
                    yield f"    {name} {what}: {', '.join(words)}"

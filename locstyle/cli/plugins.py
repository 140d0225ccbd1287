"""`locstyle plugins`: who offers what."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from locstyle.cli.options import write_options
from locstyle.cli.shared import json_option, print_json
from locstyle.errors import RecipeError, did_you_mean
from locstyle.plugin.options import options_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from locstyle.plugin.host import Host, Plugin

FLAGS = {"segmenters": "-S"}


@click.command()
@click.argument("name", required=False)
@json_option
@click.pass_context
def plugins(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """List plugins and what they offer; with a NAME, every option of that one.

    NAME is a plugin's, or that of something it offers.
    """
    host: Host = ctx.obj
    ours = cast(click.Context, ctx.parent).command
    host.add_commands(click.Group(commands=dict(cast(click.Group, ours).commands)))
    shown = host.plugins if name is None else _named(host, name)
    if as_json:
        print_json([_facts(host, plugin) for plugin in shown])
        return
    for plugin in shown:
        for line in _lines(host, plugin):
            click.echo(line)
        if name is not None:
            click.echo(_options(host, plugin, name), nl=False)


def _named(host: Host, name: str) -> list[Plugin]:
    """The plugins of that name, or that offer it.

    Raises:
        RecipeError: there is none (nearest name).
    """
    names = [{plugin.name}.union(*plugin.offers.values()) for plugin in host.plugins]
    found = [p for p, known in zip(host.plugins, names, strict=True) if name in known]
    if found:
        return found
    known = set().union(*names)
    raise RecipeError(f"plugin {name!r}: not installed; {did_you_mean(name, known)}")


def _options(host: Host, plugin: Plugin, name: str) -> str:
    """Every option of what a plugin offers under that name, or of all it offers."""
    formatter = click.HelpFormatter(width=click.get_current_context().terminal_width or 100)
    for kind, names in plugin.offers.items():
        for one in names if kind not in ("commands", "backbones") else ():
            if name in (one, plugin.name):
                formatter.write_paragraph()
                write_options(formatter, host.find(kind, one), FLAGS.get(kind, "-O"))
    return formatter.getvalue()


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
    """What a contribution takes and answers; a plugin's own code runs here, and may fail."""
    try:
        return _asked(host, kind, name)
    except (Exception, SystemExit) as error:  # it must not take the list down
        return {"failed": [f"{type(error).__name__}: {error}"]}


def _asked(host: Host, kind: str, name: str) -> dict[str, Collection[str]]:
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

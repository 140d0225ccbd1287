"""What options a plugin's contribution takes, for listings and for the help of commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import click

from locstyle.plugin.host import KINDS
from locstyle.plugin.options import options_table, presets_table, written

if TYPE_CHECKING:
    from locstyle.plugin.host import Contribution, Host

_NAMED = "locstyle.named"


def write_options(formatter: click.HelpFormatter, offer: Contribution, flag: str) -> None:
    """Each option of a contribution with its default, type and meaning, and its presets."""
    title = f"Options of {KINDS[offer.kind][0]} {offer.name!r}, each as {flag} KEY=VALUE"
    rows = list(_rows(offer.factory))
    with formatter.section(title if rows else f"{title.partition(',')[0]}"):
        if rows:
            formatter.write_dl(rows)
        else:
            formatter.write_text("none")
    presets = presets_table(offer.factory)
    if presets:
        with formatter.section("Presets"):
            formatter.write_dl([(name, _listed(changes)) for name, changes in presets.items()])


def _rows(factory: object) -> Iterator[tuple[str, str]]:
    for name, facts in options_table(factory).items():
        meaning = f"{facts['meaning']}; " if facts["meaning"] else ""
        yield f"{name}={written(facts['default'])}", f"{meaning}{facts['type']}"


def _listed(changes: dict[str, object]) -> str:
    return ", ".join(f"{name}={written(value)}" for name, value in changes.items())


class OptionsInHelp(click.Command):
    """A command whose help also shows the options of the contributions that its words name.

    `tells`: by kind of contribution, the flag its options follow.
    """

    tells: ClassVar[dict[str, str]] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # --help is answered before anything else is read, so what is named is looked for here.
        ctx.meta[_NAMED] = {word.rpartition("=")[2] for word in args}
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        host: Host = ctx.obj
        for kind, flag in self.tells.items():
            for name in sorted(ctx.meta[_NAMED].intersection(host.names(kind))):
                write_options(formatter, host.find(kind, name), flag)


class TrainCommand(OptionsInHelp):
    tells: ClassVar = {"style_encoders": "-O"}


class StylizeCommand(OptionsInHelp):
    tells: ClassVar = {"fusions": "-O", "segmenters": "-S"}

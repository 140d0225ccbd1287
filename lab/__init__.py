"""The lab: trains what the plugins ship, on the paired world, and measures it.

It knows the plugins whose weights it makes; none of them knows the lab.
"""

from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    import click


@ls.hookimpl
def register_commands(cli: "click.Group") -> None:
    """Offer the group `locstyle mini`."""
    from .command import mini

    cli.add_command(mini)

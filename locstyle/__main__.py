"""`python -m locstyle` is the command line."""

from __future__ import annotations

import io
import sys

CANCELLED = 130  # as a shell has it after Ctrl-C


def main() -> None:
    """The command line; broken off while it is still being loaded, it ends in one sentence."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What cannot be shown must not end a command: a file's name in no encoding, or "→".
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from locstyle.cli import main as command_line

        command_line(prog_name="locstyle")
    except KeyboardInterrupt:
        sys.stderr.write("cancelled; nothing was written\n")
        sys.exit(CANCELLED)


if __name__ == "__main__":
    main()

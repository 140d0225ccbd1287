"""`python -m locstyle` is the command line."""

from locstyle.cli import main

if __name__ == "__main__":
    main(prog_name="locstyle")

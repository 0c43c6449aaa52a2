"""The command `ktrdr`: hands the wiring to the command line."""

from ktrdr.cli.app import main as command_line
from ktrdr.wiring import open_client


def main() -> None:
    """What the console script calls."""
    raise SystemExit(command_line(open_client=open_client))


if __name__ == "__main__":
    main()

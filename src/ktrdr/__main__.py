"""The command `ktrdr`: hands the wiring to the command line."""

from ktrdr.cli.app import main as command_line
from ktrdr.cli.running import Local
from ktrdr.wiring import open_client, open_keys, serve, serve_host, upgrade_database


def main() -> None:
    """What the console script calls."""
    local = Local(serve=serve, serve_host=serve_host, open_keys=open_keys, upgrade_database=upgrade_database)
    raise SystemExit(command_line(open_client=open_client, local=local))


if __name__ == "__main__":
    main()

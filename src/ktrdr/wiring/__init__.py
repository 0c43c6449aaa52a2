"""The one place that knows every class: it builds what the floors above are handed.

Everything heavy is imported when it is first needed, so that a command pays for what it uses and no more.
"""

from ktrdr.wiring.host_service import serve_host
from ktrdr.wiring.parts import build_executor
from ktrdr.wiring.programs import open_client, open_keys, serve, upgrade_database

__all__ = ["build_executor", "open_client", "open_keys", "serve", "serve_host", "upgrade_database"]

"""KTRDR as a library: the Client protocol, and in `ktrdr.client.http` the client of a server."""

from ktrdr.client.protocol import Client

__all__ = ["Client"]

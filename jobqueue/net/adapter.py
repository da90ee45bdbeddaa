"""What makes `requests` use sockets with a time limit."""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from jobqueue.net.sockets import Connection, GovernedTlsSocket, TlsConnection


class Adapter(HTTPAdapter):
    """Mount it to a session of `requests`, and make the session's requests inside `sockets.governed`."""

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        """Have the connections made by the classes below. `requests` calls this."""
        context = create_urllib3_context()
        context.sslsocket_class = GovernedTlsSocket
        super().init_poolmanager(*sizes, ssl_context=context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection

"""The requests of one connection, one after another, and how their answers are sent."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import lru_cache
from typing import Any

import gevent
from gunicorn.http.errors import (
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    NoMoreData,
    ParseException,
)
from gunicorn.http.wsgi import Response
from gunicorn.util import http_date, write

from jobqueue import logs
from jobqueue.web.perimeter import request_ids
from jobqueue.web.server import strict_http
from jobqueue.web.server.connections.connection import Connection
from jobqueue.web.server.error_page import refuse, write_error

OUR_FAULTS = (InvalidResponseHeader, InvalidResponseHeaderName)
"""gunicorn's errors for an answer, which are among those for a request."""

ID_HEADER = request_ids.HEADER.upper()
"""As gunicorn spells it."""

SENT_TOGETHER_BYTES = 65_536
"""A longer body would take more time to copy than the kernel takes for a second call."""


class Answer(Response):
    """gunicorn's response, whose head is sent together with its body: the kernel's part of a send is a tenth of what a
    request costs, and many clients read twice what comes in two pieces.
    """

    headers_sent: bool
    head = b""
    """What is to be sent before the next bytes of the body."""

    def default_headers(self) -> list[str]:
        """Return the first lines of the head. The date is written once a second."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        lines = [
            f"HTTP/1.{min(self.req.version[1], 1)} {self.status}\r\n",
            f"Date: {_http_date(int(time.time()))}\r\n",
            f"Connection: {connection}\r\n",
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

    def send_headers(self) -> None:
        """Keep the head for the first bytes of the body. Until it is sent, an error can still be answered."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self.head = "".join(lines).encode("latin-1")

    def _emit_body(self, data: bytes) -> None:
        if self.headers_sent or self.chunked or len(data) > SENT_TOGETHER_BYTES:
            self._send_head()
            super()._emit_body(data)
        else:
            self.headers_sent = True
            write(self.sock, self.head + data)

    def sendfile(self, _: object) -> bool:
        """Have gunicorn read a file and send its pieces like any other body."""
        return False

    def close(self) -> None:
        """Send what has not been sent yet."""
        self.send_headers()
        self._send_head()
        super().close()

    def _send_head(self) -> None:
        if not self.headers_sent:
            self.headers_sent = True
            write(self.sock, self.head)


class Settled:
    """gunicorn's settings as they are when a process has started. gunicorn computes each at every use, and uses fifteen
    of them for a request.
    """

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._settings, name)
        setattr(self, name, value)  # from now on it is found without this method
        return value


@lru_cache(maxsize=1)
def _http_date(seconds: int) -> str:
    return str(http_date(seconds))


def serve(worker: Any, listener_name: Any, connection: Connection) -> None:
    """Serve the requests of a connection until one side ends it. Never raises for what a client does."""
    try:
        _serve_all(worker, listener_name, connection)
    except StopIteration:  # the last answer has been sent, or the client has closed the connection between requests
        connection.linger()
    except TimeoutError:
        if connection.has_begun_a_request:
            with suppress(OSError):
                write_error(connection, 408, "The request was not complete in time", "")  # type: ignore[arg-type]
            connection.linger()
    except ConfigurationProblem:  # the variable SCRIPT_NAME is set, and the path does not begin with it
        write_error(connection, 404, "No such path", "")  # type: ignore[arg-type]
        connection.linger()
    except (NoMoreData, OSError) as error:
        worker.log.debug("The client has gone: %s", type(error).__name__)
    except Exception as error:  # noqa: BLE001  # a fault of the client, or one of ours, which is answered with 500
        _answer_fault(worker, connection, error)
        connection.linger()


def _answer_fault(worker: Any, connection: Connection, error: Exception) -> None:
    if not request_ids.current():
        request_ids.begin(None)  # for the line about it and for the answer
    if isinstance(error, ParseException) and not isinstance(error, OUR_FAULTS):
        with suppress(OSError):
            refuse(connection, worker.log, error)
    else:
        worker.handle_error(connection.request, connection, connection.address, error)


def _serve_all(worker: Any, listener_name: Any, connection: Connection) -> None:
    parser = strict_http.Parser(worker.cfg, connection, connection.address)
    proxy = None
    while True:
        request = next(parser)
        request_ids.begin(_sent_id(request.headers))
        connection.run(request)
        # A proxy that speaks the PROXY protocol sends its header once, for all requests of the connection.
        proxy = request.proxy_protocol_info = request.proxy_protocol_info or proxy
        try:
            worker.handle_request(listener_name, request, connection, connection.address)
        finally:  # it raises when the connection ends with this answer
            logs.flush()
        request_ids.end()
        # A client may have sent a thousand requests in advance. Others have their turn between any two of them.
        gevent.sleep(0)
        connection.await_request(buffered=parser.unreader.buf.getbuffer().nbytes > 0)


def _sent_id(headers: list[tuple[str, str]]) -> str:
    """Return the id that the client has sent with a request, "" for none or several."""
    sent = [value for name, value in headers if name == ID_HEADER]
    return sent[0] if len(sent) == 1 else ""

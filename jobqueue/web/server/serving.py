"""The requests of one connection, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gevent
from gunicorn import http
from gunicorn.http.errors import ConfigurationProblem, InvalidChunkSize, NoMoreData

from jobqueue.web.server.connection import Connection
from jobqueue.web.server.error_page import write_error

FREE_CHUNKS, BYTES_PER_CHUNK = 20_000, 256
"""How many chunks a body may have, and how many bytes buy another one. Each costs the processor 6 microseconds."""


def serve(worker: Any, listener: Any, connection: Connection) -> None:
    """Serve the requests of a connection until one side ends it. Never raises for what a client does."""
    try:
        _serve_all(worker, listener, connection)
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
        worker.log.debug("The client has gone: %s", error)
    except Exception as error:  # noqa: BLE001  # gunicorn answers a malformed request with 4xx, any other error with 500
        worker.handle_error(connection.request, connection, connection.address, error)
        connection.linger()


def _serve_all(worker: Any, listener: Any, connection: Connection) -> None:
    parser = http.get_parser(worker.cfg, connection, connection.address)
    listener_name, proxy = listener.getsockname(), None
    while True:
        request = next(parser)
        if getattr(request.body.reader, "parser", None) is not None:
            request.body.reader.parser = without_crumbs(request.body.reader.parser)
        connection.run(request)
        # A proxy that speaks the PROXY protocol sends its header once, for all requests of the connection.
        proxy = request.proxy_protocol_info = request.proxy_protocol_info or proxy
        worker.handle_request(listener_name, request, connection, connection.address)
        # A client may have sent a thousand requests in advance. Others have their turn between any two of them.
        gevent.sleep(0)
        connection.await_request(buffered=parser.unreader.buf.getbuffer().nbytes > 0)


def without_crumbs(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a chunked body. Raises InvalidChunkSize when there are far too many for its length."""
    left = float(FREE_CHUNKS)
    for piece in pieces:
        left += len(piece) / BYTES_PER_CHUNK - 1
        if left < 0:
            raise InvalidChunkSize(b"too many small chunks")
        yield piece

"""HTTP connections of urllib3 on sockets with a time limit, directly or through a proxy."""

from __future__ import annotations

import errno
import http.client
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import IO, Any, cast

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from jobqueue.net.addresses import Suspects, connect_to_first
from jobqueue.net.heads import StrictResponse
from jobqueue.net.names import look_up
from jobqueue.net.proxies import Proxy, basic
from jobqueue.net.sockets import PERMISSIVE, GovernedSocket, Guard, closed_on_error, governor
from jobqueue.net.urls import Url

BLOCK_BYTES = 256 * 1024
"""How much of a body is read from its file at a time."""

PIECE_BYTES = 256 * 1024
"""How much of the body of an answer is read at a time."""

EARLY_END = "the connection ended early"


class Connection(HTTPConnection):
    """An HTTP connection. Its timeout is for connecting to one address.

    Use it inside `sockets.governed`. `via` is the proxy that it goes through. `place` is the socket address that it
    goes to, None until there is a connection.
    """

    via: Proxy | None = None
    place: Any = None
    suspects: Suspects
    _answer: StrictResponse | None = None

    def __init__(self, host: str, port: int, **options: Any) -> None:
        super().__init__(host, port, blocksize=BLOCK_BYTES, **options)
        self.suspects = Suspects()

    def ask(self, method: str, url: Url, headers: Mapping[str, str], body: bytes | IO[bytes] | None = None) -> None:
        """Send a request. Raises OSError, HTTPException, and what the time limit raises."""
        target = url.target
        if self.via and url.scheme == "http":
            target, headers = f"{url.scheme}://{url.authority}{target}", {**headers, **self.via.headers}
        self.request(method, target, body, headers, preload_content=False)

    def answer(self) -> HTTPResponse:
        """Return the answer, once its head has arrived. A Content-Encoding of its body is not undone.

        Raises what `ask` raises, and ConnectionResetError when the head breaks off.
        """
        response = self.getresponse()
        response.decode_content = False
        _check_end_of_head()
        return response

    def plain_answer(self) -> StrictResponse:
        """Return the same as the standard library has it, in half the time. `content_of` reads its body."""
        response = http.client.HTTPConnection.getresponse(self)
        _check_end_of_head()
        return cast("StrictResponse", response)

    def hang_up(self) -> None:
        """Close the connection, whatever state it is in.

        urllib3 forgets to close an answer whose headers it refuses. The socket would stay open with it.
        """
        self.close()
        if self._answer is not None:
            self._answer.close()

    @property
    def response_class(self) -> Callable[..., StrictResponse]:  # type: ignore[override]  # it is only called
        """What `http.client` calls to make an answer. Not an attribute, which would keep the connection alive."""
        return self._respond

    def _respond(self, *arguments: Any, **options: Any) -> StrictResponse:
        self._answer = StrictResponse(*arguments, **options)
        return self._answer

    def _new_conn(self) -> GovernedSocket:
        """Return a connection to the server, or through the proxy to the server. urllib3 calls this.

        Raises OSError when there is none, and what the time limit and the guard raise.
        """
        if self.via is None:
            return self._open(self.host.strip("[]"), self.port, governor().guard)
        try:
            opened = self._open(self.via.host.strip("[]"), self.via.port, PERMISSIVE)
        except OSError as error:
            # The number of a failed look-up is not one of the system's, and would be taken for one.
            number = error.errno if error.errno and error.errno > 0 else None
            raise self.via.failed(f"cannot be reached: {error.strerror or error}", number) from error
        if isinstance(self, HTTPSConnection):
            with closed_on_error(opened):
                _tunnel(
                    opened, self.via, f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
                )
        return opened

    def _open(self, host: str, port: int, guard: Guard) -> GovernedSocket:
        current = governor()
        seconds = self.timeout or current.limit.left_seconds
        current.limit.begin_window()  # no bytes arrive during the look-up, so it has a window of its own
        # Chosen from what will be connected to, not looked up once more: the next answer may be another one.
        addresses = guard.choose(host, self.suspects.last(look_up(host, port, current.limit)))
        opened = connect_to_first(addresses, seconds, self.socket_options or ())
        with closed_on_error(opened):
            self.place = opened.getpeername()
            guard.confirm(self.place[0])
        return opened


class TlsConnection(Connection, HTTPSConnection):
    """The same with TLS, which needs a context whose `sslsocket_class` is GovernedTlsSocket."""


def headers_for(url: Url, credentials: str | None, last: bool = False) -> dict[str, str]:
    """Return the headers of every request that we send. `credentials` are `user:password`, percent-encoded; `last` is
    whether no other request follows on the connection.
    """
    headers = {"Host": url.authority, "User-Agent": "jobqueue", "Accept": "*/*", "Accept-Encoding": "identity"}
    if last:
        headers["Connection"] = "close"
    if credentials is not None:
        headers["Authorization"] = basic(credentials)
    return headers


def pieces_of(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the body of an answer. Raises OSError, HTTPException, HTTPError, and what the time limit raises."""
    # Not `stream` nor `read`: urllib3 has a parser of its own for chunks, which believes negative sizes.
    while piece := response.read1(PIECE_BYTES):
        yield piece


def content_of(response: StrictResponse) -> Iterator[bytes]:
    """Yield the body of an answer, without its Content-Encoding. Raises what `pieces_of` raises."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":  # which we have asked for, but there may be a proxy that knows better
        headers = HTTPHeaderDict(response.headers.items())
        yield from pieces_of(HTTPResponse(response, headers, preload_content=False, original_response=response))
        return
    while piece := response.read1(PIECE_BYTES):
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _check_end_of_head() -> None:
    if governor().ended:  # headers that break off look like headers that end
        raise ConnectionResetError(errno.ECONNRESET, EARLY_END)


def _tunnel(opened: GovernedSocket, proxy: Proxy, authority: str) -> None:
    """Have a proxy connect us to a server. Raises ProxyFailed, and what the time limit raises."""
    headers = {"Host": authority, "User-Agent": "jobqueue", **proxy.headers}
    lines = [f"CONNECT {authority} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    answer = StrictResponse(opened, method="CONNECT")
    try:
        opened.sendall("\r\n".join(lines).encode("latin-1"))
        answer.begin()
    except (OSError, HTTPException) as error:
        raise proxy.failed(f"did not answer CONNECT: {getattr(error, 'strerror', None) or error}") from error
    finally:
        answer.close()
    if governor().ended:
        raise proxy.failed(f"did not answer CONNECT: {EARLY_END}")
    if not 200 <= answer.status < 300:  # noqa: PLR2004  # any success, says RFC 9110
        raise proxy.failed(f"refused to connect to {authority}: {answer.status} {answer.reason[:100]}".rstrip())

"""A server of one program that cuts its answers short and understands Range requests as a test says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.fake_server import FakeServer, Reply, Request, serving


@dataclass
class RangeServer:
    """Each answer ends after `cut` bytes of its body. `version` are the headers that name the version of the program.

    `resumes` says whether it answers with the rest. `change` may change an answer that has the rest.
    """

    content: bytes
    cut: int
    version: Mapping[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    resumes: bool = True
    change: Callable[[Reply], Reply] = lambda reply: reply
    server: FakeServer = field(init=False)

    @property
    def url(self) -> str:
        """Where the program is."""
        return self.server.url

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that were requested."""
        return [request.headers.get("Range") for request in self.server.requests]

    @property
    def conditions(self) -> list[str | None]:
        """The conditions of these requests."""
        return [request.headers.get("If-Range") for request in self.server.requests]

    def answer(self, request: Request) -> Reply:
        """Answer with the whole, or the rest, cut short."""
        match = re.fullmatch("bytes=([0-9]+)-", request.headers.get("Range", ""))
        condition = request.headers.get("If-Range")
        if not match or not self.resumes or (condition and condition not in self.version.values()):
            return self._reply(200, 0, {})
        begin = int(match[1])
        where = f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"
        return self.change(self._reply(206, begin, {"Content-Range": where}))

    def _reply(self, status: int, begin: int, headers: Mapping[str, str]) -> Reply:
        rest = self.content[begin:]
        return Reply(status, rest[: self.cut], {**self.version, **headers}, length=len(rest))


@contextmanager
def serving_ranges(content: bytes, cut: int, **options: object) -> Iterator[RangeServer]:
    """Run such a server."""
    ranges = RangeServer(content, cut, **options)  # type: ignore[arg-type]  # the fields of the class
    with serving(ranges.answer) as server:
        ranges.server = server
        yield ranges

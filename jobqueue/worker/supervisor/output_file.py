"""Both outputs of a run as one JSON object: short ones as a string, long ones in a file in memory.

The string travels inside a message, the file from process to process as a descriptor. Only the supervisor ever holds a
whole long output in its memory.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import IO

from jobqueue import json_stream

ENCODER = json.JSONEncoder(ensure_ascii=False)
SHORT_BYTES = 4096
"""How long both outputs together may be to travel inside a message. As JSON they may take six times that."""


class Outputs:
    """A JSON object, `{"stdout":"…","stderr":"…"}`. It is closed at the latest when nothing refers to it."""

    def __init__(self, fd: int = -1, short: str = "") -> None:
        """Take the descriptor of a file with the object or, for short outputs, the object itself."""
        self.fd = fd
        self.short = short

    @classmethod
    def of(cls, texts: Mapping[str, bytes]) -> Outputs:
        """Return outputs in UTF-8 by name, in a file unless they are short. Raises OSError when there is no memory."""
        if sum(map(len, texts.values())) <= SHORT_BYTES:
            return cls(short=ENCODER.encode({name: text.decode() for name, text in texts.items()}))
        outputs = cls(os.memfd_create("outputs", os.MFD_CLOEXEC))
        with open(outputs.fd, "wb", closefd=False) as file:
            for number, (name, text) in enumerate(texts.items()):
                file.write((b"," if number else b"{") + json.dumps(name).encode() + b":")
                json_stream.write_utf8(file, text)
            file.write(b"}")
        return outputs

    @classmethod
    def write(cls, texts: dict[str, str]) -> Outputs:
        """Write texts by name into a new file. Raises OSError when there is no memory for them."""
        outputs = cls(os.memfd_create("outputs", os.MFD_CLOEXEC))
        with open(outputs.fd, "wb", closefd=False) as file:
            json_stream.write(file, texts)
        return outputs

    def read(self) -> dict[str, str]:
        """Return the texts by name."""
        content = self.short or os.pread(self.fd, os.fstat(self.fd).st_size, 0)
        texts: dict[str, str] = json.loads(content)
        return texts

    def take(self) -> IO[bytes]:
        """Return the object in a file in memory, which the caller may change and has to close. Only once."""
        if self.short:
            return io.BytesIO(self.short.encode())
        fd, self.fd = self.fd, -1
        file = open(fd, "r+b")  # noqa: SIM115  # the caller's
        file.seek(0)
        return file

    def close(self) -> None:
        """Free the memory. May be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

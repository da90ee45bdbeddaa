"""Both outputs of a run as one JSON object in a file in memory.

The file travels from process to process as a descriptor. Only the supervisor ever holds a whole output in its memory.
"""

from __future__ import annotations

import json
import os

from jobqueue import json_stream


class Outputs:
    """A JSON object in memory, `{"stdout":"…","stderr":"…"}`. It is closed at the latest when nothing refers to it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def write(cls, texts: dict[str, str]) -> Outputs:
        """Write texts by name into a new file. Raises OSError when there is no memory for them."""
        outputs = cls(os.memfd_create("outputs", os.MFD_CLOEXEC))
        with open(outputs.fd, "wb", closefd=False) as file:
            json_stream.write(file, texts)
        return outputs

    def read(self) -> dict[str, str]:
        """Return the texts by name."""
        texts: dict[str, str] = json.loads(os.pread(self.fd, os.fstat(self.fd).st_size, 0))
        return texts

    def detach(self) -> int:
        """Return the descriptor and forget it; the caller has to close it."""
        fd, self.fd = self.fd, -1
        return fd

    def close(self) -> None:
        """Free the memory. May be called again."""
        if self.fd >= 0:
            os.close(self.detach())

    def __del__(self) -> None:
        self.close()

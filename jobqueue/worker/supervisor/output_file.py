"""Both outputs of a run as a piece of JSON, in a file that lives in memory: it goes from process to process as a
descriptor, and no process but the one that heard the program ever holds it whole.
"""

from __future__ import annotations

import json
import os
from typing import Any

from jobqueue import json_stream
from jobqueue.worker.supervisor.capture import Stream


class Outputs:
    """A JSON object, `{"stdout":"…","stderr":"…"}`. Closed at the latest when nobody needs it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def write(cls, texts: dict[str, str]) -> Outputs:
        """Return texts by name, written down. Raises OSError when there is no memory for them."""
        outputs = cls(os.memfd_create("outputs", os.MFD_CLOEXEC))
        with open(outputs.fd, "wb", closefd=False) as file:
            json_stream.write(file, texts)
        return outputs

    def read(self) -> dict[str, str]:
        """Return the texts by name."""
        content = os.pread(self.fd, os.fstat(self.fd).st_size, 0)
        texts: dict[str, str] = json.loads(content)
        return texts

    def detach(self) -> int:
        """Return the descriptor and forget it: it is the caller's to close."""
        fd, self.fd = self.fd, -1
        return fd

    def close(self) -> None:
        """Free the memory."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()


def write_down(stdout: Stream, stderr: Stream) -> tuple[Outputs, dict[str, Any]]:
    """Return both outputs, and what is to be told of them: how much came, and whether some of it is missing."""
    texts: dict[str, str] = {}
    told: dict[str, Any] = {}
    for name, stream in (("stdout", stdout), ("stderr", stderr)):
        texts[name], truncated = stream.kept()
        told |= {f"{name}_bytes": stream.total_bytes, f"{name}_truncated": truncated}
    return Outputs.write(texts), told

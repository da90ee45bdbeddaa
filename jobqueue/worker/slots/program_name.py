"""What a program's file is called where it runs: as in its URL, as far as that makes a good file name.

Some programs depend on it: busybox chooses its applet by it, scripts show `$0`, and node and python look at the ending.
"""

from __future__ import annotations

import os.path
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

DEFAULT = "program"

DOUBTFUL = re.compile(r"[^\w.+@=,~-]")
"""Everything but letters and digits of any script, and what is common in file names. So no separator, white space,
control character, quote or wildcard is left.
"""

MOST_BYTES = 128
"""Linux allows 255 in a file name. What is left is for those who derive another name from it."""

LONGEST_ENDING = 16

WORK = "work"
"""The other entry of the program's directory: the directory that the program starts in."""


@lru_cache(maxsize=100)
def program_name(url: str) -> str:
    """Return a safe file name made of the last segment of a URL's path, DEFAULT when there is nothing to make it of."""
    # `%2F` is decoded after the split, and becomes a doubtful character like any other.
    try:
        path = urlsplit(url).path
    except ValueError:  # not a URL; the download fails because of it
        return DEFAULT
    segment = unquote(path.rpartition("/")[2], errors="replace")
    name = DOUBTFUL.sub("_", segment)
    if name.startswith("-"):  # would look like an option to a program that is given the name
        name = "_" + name[1:]
    name = _shortened(name)
    # Without a letter or a digit it says nothing, and may be "." or "..".
    return DEFAULT if name == WORK or not re.search(r"[^\W_]", name) else name


def _shortened(name: str) -> str:
    """Return at most MOST_BYTES of a name, its ending included."""
    stem, ending = os.path.splitext(name)
    if len(ending.encode()) > LONGEST_ENDING:
        stem, ending = name, ""
    room = MOST_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending

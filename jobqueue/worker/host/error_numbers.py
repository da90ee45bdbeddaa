"""System errors that tell of this host, not of the file, program or peer that a call was about."""

import errno

OUT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The host is out of processes, descriptors, buffers or memory."""

HOST_FAULTS = OUT_OF_RESOURCES | {errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.ETXTBSY}
"""The same program may well start on another host: this one lacks something, its disk is full or broken, or another
process still holds a file open that was just written.
"""

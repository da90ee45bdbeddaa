"""The numbers of the system errors that are caused by this host, not by the file, program or server in question."""

import errno

OUT_OF_RESOURCES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The host is out of processes, descriptors, buffers or memory."""

HOST_FAULTS = OUT_OF_RESOURCES | {errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.ETXTBSY}
"""The same program may well start on another host: this one lacks something, its disk is full or broken, or another
process still holds a file open that was just written.
"""

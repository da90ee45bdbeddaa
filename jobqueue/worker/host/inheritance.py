"""Puts right what this process has inherited from the one that started it: signals, and the standard files."""

from __future__ import annotations

import os
import signal
import sys

OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python itself ignores these and turns them into exceptions."""

STANDARD_FILES = (0, 1, 2)


def restore_signals() -> None:
    """Let every signal have its default effect, and block none. SIGHUP stays ignored if it is."""
    # Ignored and blocked signals are inherited, even over exec. With SIGCHLD ignored, the kernel reaps our children
    # before we can read how they ended. SIGHUP is what `nohup` ignores, so that the end of the session ends nothing.
    for number in signal.valid_signals() - {signal.SIGHUP, *OF_PYTHON}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def open_standard_files() -> None:
    """Open the null device in place of each standard file that is closed."""
    # Otherwise the next file or socket that is opened would get the number, and whatever is written to standard error
    # would go into it. A child process inherits these three, so they must be inheritable. open(2) returns the lowest
    # number that is free, and those below are open by then.
    for number in STANDARD_FILES:
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has no object for a file that was closed when it started. `print` copes with that, `sys.stdout.write` does
    # not.
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for the life of the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115

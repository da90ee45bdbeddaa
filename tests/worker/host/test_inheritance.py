"""A process puts right what it has inherited: closed standard files, ignored and blocked signals."""

from __future__ import annotations

import os
import signal

from tests.support.child_script import output_of

BEGIN = "import os, signal\nfrom jobqueue.worker.host import inheritance\n"


def test_closed_standard_files_are_opened_so_that_no_other_file_gets_their_numbers() -> None:
    def close_two() -> None:
        os.close(0)
        os.close(2)

    script = """
inheritance.open_standard_files()
other = os.open("/", os.O_RDONLY)
os.write(1, f"{other > 2} {sys.stdin} {os.readlink('/proc/self/fd/2')} {os.get_inheritable(2)}".encode())
sys.stdout.write("")
sys.stderr.write("lost")
"""
    assert output_of(BEGIN + script, before=close_two) == "True None /dev/null True"


def test_signals_get_their_default_effect_back_except_the_one_that_nohup_ignores() -> None:
    ignored = (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

    def ignore_and_block() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())

    script = f"""
inheritance.restore_signals()
print([signal.getsignal(number) is signal.SIG_IGN for number in {[int(each) for each in ignored]}])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    assert output_of(BEGIN + script, before=ignore_and_block) == "[False, False, False, True]\nset()\n"

"""Bugs in how the worker protects its host and its files, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

CODE = "jobqueue/worker/host"
TESTS = "tests/worker/host"
LEVELS = "tests/worker/isolation/test_levels.py"
REACHING = "tests/security/test_job_reaches_host_sockets.py"

HOST = [
    *seeded(
        "jobqueue/worker/host/process_tree.py",
        "tests/worker/host/test_process_tree.py",
        (
            "an idle worker lists its children every second",
            " if _has_ended_children() else ()",
            "",
            "test_children_are_not_looked_for_as_long_as_none_has_ended",
        ),
        (
            "a spared child is reaped",
            "        if child in spare:\n            continue\n",
            "",
            "test_only_children_that_have_ended_and_are_not_spared_are_reaped",
        ),
    ),
    *seeded(
        "jobqueue/worker/isolation/system_paths.py",
        "tests/worker/isolation/test_secret_files.py",
        (
            "a secret that a link leads to can be read",
            "{os.path.realpath(file.parent), os.path.dirname(os.path.realpath(file))}",
            "{os.path.realpath(file.parent)}",
            "test_what_a_link_leads_to_is_hidden_and_where_the_link_is",
        ),
    ),
    *seeded(
        f"{CODE}/lock_file.py",
        f"{TESTS}/test_lock_file.py",
        (
            "a lock of a removed file counts",
            "os.path.samestat(os.fstat(lock_fd), os.lstat(path))",
            "os.fstat(lock_fd)",
            "test_a_lock_of_a_file_that_its_last_holder_has_removed_is_not_enough",
        ),
    ),
    *seeded(
        f"{CODE}/private_directory.py",
        f"{TESTS}/test_directories.py",
        (
            "other users can enter the worker's directories",
            "mode=0o700",
            "mode=0o755",
            "test_the_configured_directory_is_made_for_this_user_alone",
        ),
        (
            "a directory that others can write is used",
            "    if mode & WRITTEN_BY_OTHERS:",
            "    if mode & stat.S_IWOTH and mode & stat.S_IWGRP:",
            "test_a_directory_that_others_can_write_is_refused_and_left_alone",
        ),
    ),
    *seeded(
        f"{CODE}/locked_directory.py",
        f"{TESTS}/test_locked_directory.py",
        (
            "another user's directory is taken over",
            "path.lstat().st_uid == os.geteuid()",
            "path.exists()",
            "test_another_users_directory_is_left_alone",
        ),
        (
            "a directory that is being made is taken over",
            'not (match["unfinished"] and _is_young(path))',
            "True",
            "test_an_unfinished_directory_is_abandoned_after_a_minute",
        ),
    ),
    *seeded(
        f"{CODE}/processors.py",
        f"{TESTS}/test_processors.py",
        (
            "only the innermost group's quota counts",
            "yield from (directory, *directory.parents[: len(inner.parts)])",
            "yield directory",
            "test_the_smallest_quota_on_the_path_counts",
        ),
    ),
    *seeded(
        f"{CODE}/hardening.py",
        f"{TESTS}/test_hardening.py",
        (
            "a program may gain rights",
            "LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)",
            "LIBC.prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)",
            "test_programs_started_after_renounce_gain_no_rights",
        ),
        (
            "a program has a lower OOM score than its worker",
            "max(OOM_SCORE_ADJUSTMENT, own)",
            "OOM_SCORE_ADJUSTMENT",
            "test_a_child_never_has_a_lower_oom_score_than_the_worker",
        ),
    ),
]
ISOLATION = [
    *seeded(
        "jobqueue/worker/isolation/bubblewrap.py",
        "tests/worker/isolation/test_bubblewrap.py",
        (
            "bwrap itself gets the environment of the program",
            "Command(command, {}, [",
            "Command(command, environment, [",
            "test_bwrap_itself_does_not_get_the_programs_environment",
        ),
        (
            "a program in bwrap keeps capabilities",
            ', "--cap-drop", "ALL")',
            ",)",
            f"{LEVELS}::test_a_program_has_no_capabilities",
        ),
    ),
    *seeded(
        "jobqueue/worker/isolation/system_paths.py",
        "tests/worker/isolation/test_landlock.py",
        (
            "a hidden directory can be read",
            "    if path in hidden:\n",
            "    if path in hidden:\n        yield path\n",
            "test_the_entries_around_a_hidden_directory_are_listed",
        ),
    ),
    *seeded(
        "jobqueue/worker/isolation/system_calls.py",
        REACHING,
        (
            "a program without network sends through one of a pair of datagram sockets",
            "(socket.SOCK_STREAM, socket.SOCK_SEQPACKET)",
            "(socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)",
            "test_a_job_without_network_reaches_no_socket_of_the_host",
        ),
        (
            "a program without network makes sockets by io_uring",
            "_when(IO_URING_SETUP, [_fail(errno.EPERM)])",
            "[]",
            "test_a_job_without_network_reaches_no_socket_of_the_host",
        ),
    ),
    *seeded(
        "jobqueue/worker/isolation/base.py",
        "tests/security/test_job_uses_keyring.py",
        (
            "a program uses the keyring of its worker",
            "            system_calls.deny(self.families_without_network if self.network == NO_NETWORK else None)",
            "            pass",
            "test_a_job_uses_the_keyring_of_its_worker_only_where_the_level_leaves_it_open",
        ),
    ),
]
SEEDED_BUGS = [*HOST, *ISOLATION]

"""Bugs in slots and supervisors, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

ATTEMPT_TESTS = "tests/worker/attempts/test_attempt.py"
SLOT_TESTS = "tests/worker/slots/test_slot.py"
SUPERVISOR = "jobqueue/worker/supervisor"
SUPERVISOR_TESTS = "tests/worker/supervisor"

SLOTS = [
    *seeded(
        "jobqueue/worker/slots/slot.py",
        SLOT_TESTS,
        (
            "a late stop reaches the next run",
            " and stopped in (None, self._run.stopped)",
            "",
            f"{ATTEMPT_TESTS}::test_stopping_an_attempt_that_is_over_does_not_stop_the_next_in_its_slot",
        ),
        (
            "a dead supervisor is not replaced",
            "self._supervisor.process.poll() is not None and not stopped.is_set()",
            "self._closed",
            "test_a_supervisor_that_died_idle_is_replaced",
        ),
        (
            "a slot closes a descriptor that its run still uses",
            "with self._running, self._lock:",
            "with self._lock:",
            "test_a_slot_that_closes_keeps_its_descriptors_until_the_run_has_left",
        ),
    ),
    *seeded(
        "jobqueue/worker/slots/run.py",
        SLOT_TESTS,
        (
            "a suspended supervisor is killed instead of resumed",
            "self._resumes <= MOST_RESUMES",
            "self._resumes > MOST_RESUMES",
            "test_a_supervisor_that_was_suspended_while_idle_is_resumed",
        ),
        (
            "an overdue supervisor is not killed",
            "time.monotonic() > self._overdue_at and",
            "math.isnan(self._overdue_at) and",
            "tests/worker/slots/test_slot_limits.py::test_a_suspended_supervisor_is_killed_when_its_program_is_beyond_its_time_limit",
        ),
    ),
    *seeded(
        "jobqueue/worker/supervisor/main.py",
        "tests/worker/supervisor/test_main.py",
        (
            "a program that kills its supervisor has never begun",
            "        self._begun.set()\n",
            "",
            "test_the_worker_can_see_whether_a_program_has_begun",
        ),
    ),
    *seeded(
        "jobqueue/worker/slots/run.py",
        "tests/worker/slots/test_slot.py",
        (
            "every program has begun once one has",
            "        self._supervisor.begun.clear()\n",
            "",
            "test_a_program_that_its_supervisor_has_not_begun_is_not_taken_for_the_one_before",
        ),
    ),
    *seeded(
        "jobqueue/worker/host/child_process.py",
        "tests/end_to_end/test_hostile.py",
        (
            "a process that cleans up has the environment of the worker",
            "env=dict(environment)",
            "env={**os.environ, **environment}",
            "test_a_job_never_sees_the_environment_of_the_processes_that_clean_up",
        ),
    ),
    *seeded(
        "jobqueue/worker/slots/children.py",
        "tests/worker/slots/test_children.py",
        (
            "orphans that have ended are never reaped",
            "            self.reap_orphans()\n",
            "            self._older\n",
            "tests/worker/test_main.py::test_a_worker_reaps_what_nobody_waits_for_and_drains_when_its_terminal_is_closed",
        ),
        (
            "children older than the worker are killed",
            "self._kill(self._own | self._older)",
            "self._kill(self._own)",
            "test_children_older_than_the_worker_are_not_orphans",
        ),
    ),
    *seeded(
        "jobqueue/worker/slots/leftovers.py",
        "tests/worker/slots/test_leftovers.py",
        (
            "processes in directories with a longer name are killed",
            '/".startswith(f"{directory}/")',
            '".startswith(f"{directory}")',
            "test_processes_in_neighboring_directories_are_not_killed",
        ),
    ),
    *seeded(
        "jobqueue/worker/slots/workspace.py",
        "tests/worker/slots/test_workspace.py",
        (
            "other users can enter a job's directory",
            "os.mkdir(self.directory, 0o700)",
            "os.mkdir(self.directory, 0o755)",
            "test_a_workspace_is_closed_to_others_and_its_directory_empty",
        ),
        (
            "a job gets a directory that another one has changed",
            "return changed_at, [",
            "return changed_at and [",
            "test_directories_that_a_job_has_changed_are_removed",
        ),
    ),
]
SUPERVISORS = [
    *seeded(
        f"{SUPERVISOR}/program.py",
        f"{SUPERVISOR_TESTS}/test_program.py",
        (
            "processes that a program has started survive it",
            "if has_children() else peak_memory_bytes",
            "if peak_memory_bytes < 0 else peak_memory_bytes",
            f"{SLOT_TESTS}::test_a_stop_ends_a_program_and_all_it_started",
        ),
    ),
    *seeded(
        f"{SUPERVISOR}/vfork.py",
        f"{SUPERVISOR_TESTS}/test_vfork.py",
        (
            "a program does not die with its supervisor",
            "Call(LIBC.prctl, PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)",
            "Call(LIBC.prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0)",
            "tests/worker/isolation/test_levels.py::test_a_program_is_killed_when_its_supervisor_is",
        ),
        (
            "a program is executed although it could not be confined",
            "Call(LIBC.memset, self._path, fill, MARKER)",
            "Call(LIBC.getpid)",
            "test_a_program_is_not_executed_when_it_cannot_be_confined",
        ),
        (
            "a program is executed although it had no right to be confined",
            "fill, execution = NUL",
            "fill, execution = SLASH",
            "test_a_program_is_not_executed_when_it_cannot_be_confined",
        ),
        (
            "what was left of an older path is executed",
            "        ctypes.memset(self._path, NUL, len(self._path))\n",
            "",
            "test_a_program_is_called_as_its_file_is",
        ),
        (
            "a program is started by a parent that has died",
            "            Call(LIBC.write, 1, self._alive, len(ALIVE)),\n",
            "            Call(LIBC.write, 0, self._alive, 0),\n",
            "test_a_child_whose_parent_died_before_the_setting_executes_nothing",
        ),
    ),
    *seeded(
        f"{SUPERVISOR}/main.py",
        f"{SUPERVISOR_TESTS}/test_main.py",
        (
            "a sigterm kills a supervisor that starts",
            "    supervisor = Supervisor(",
            "    inheritance.restore_signals()\n    supervisor = Supervisor(",
            "test_a_sigterm_that_came_while_the_supervisor_started_does_not_end_it",
        ),
        (
            "a suspended supervisor outlives its worker",
            "    hardening.wake_with_parent()\n",
            "",
            f"{SLOT_TESTS}::test_a_supervisor_that_was_suspended_ends_with_a_killed_worker",
        ),
        (
            "a supervisor waits for a worker that does not read",
            "while self._channel.flush() and (piece := each.take_live()):\n                self._channel.post(",
            "while piece := each.take_live():\n                self._channel.send(",
            f"{SUPERVISOR_TESTS}/test_main.py::test_a_worker_that_reads_nothing_does_not_keep_a_program_alive_beyond_its_lease",
        ),
        (
            "a death by a signal has the number of the signal as exit code",
            "status if status >= 0 else 128 - status",
            "abs(status)",
            f"{SUPERVISOR_TESTS}/test_program.py::test_a_program_killed_by_signal_n_has_exit_code_128_plus_n",
        ),
    ),
    *seeded(
        f"{SUPERVISOR}/termination.py",
        f"{SUPERVISOR_TESTS}/test_termination.py",
        (
            "a stop after the time limit hides the time-out",
            "self.stopped or not self.timed_out\n        self._end_by(self.clock()",
            "True\n        self._end_by(self.clock()",
            "test_a_stop_after_the_time_out_keeps_the_reason_but_may_bring_the_end_forward",
        ),
        (
            "a second stop delays the end",
            "min(moment, self.kill_at)",
            "moment",
            "test_a_second_stop_can_bring_the_end_forward_and_never_delay_it",
        ),
        (
            "a renewal revives a program whose lease has ended",
            "        if not self.lease_over:\n",
            "        if lease_end:\n            self.lease_over, self.kill_at = False, math.inf\n",
            "test_a_renewal_that_comes_after_the_end_of_the_lease_revives_nothing",
        ),
        (
            "a program may run for longer than its time limit",
            "now >= self.time_limit_at",
            "now >= self.time_limit_at + self.launch.kill_grace_seconds",
            "test_a_program_at_its_time_limit_receives_one_sigterm_and_is_killed_after_its_grace",
        ),
    ),
    *seeded(
        f"{SUPERVISOR}/capture.py",
        f"{SUPERVISOR_TESTS}/test_capture.py",
        (
            "of a long output the end is lost",
            "self._tail[: -output.OUTPUT_LIMIT_BYTES]",
            "self._tail[output.OUTPUT_LIMIT_BYTES :]",
            "test_a_longer_output_keeps_both_ends_and_a_line_that_says_how_much_is_missing",
        ),
    ),
    *seeded(
        f"{SUPERVISOR}/platform_stop.py",
        f"{SUPERVISOR_TESTS}/test_main.py",
        (
            "a supervisor does not notice SIGTERM",
            "or number == signal.SIGTERM",
            "or number == signal.SIGINT",
            "tests/worker/slots/test_slot_limits.py::test_a_supervisor_that_receives_sigterm_reports_it_and_stays",
        ),
    ),
]
SEEDED_BUGS = [*SLOTS, *SUPERVISORS]

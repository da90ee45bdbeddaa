"""Values that the fields of a result must not have."""

from __future__ import annotations

from typing import Any

BAD_COUNTS: list[Any] = [-1, 0.5, "0", True, [], 2**53, 10**40, 1e300]
BAD_RESULT: dict[str, list[Any]] = {
    "exit_code": [2**31, -(2**31) - 1, 0.5, "0", True, [], {}, 1e300, 10**40],
    "stdout": [1, ["a"], {}],
    "stderr": [True, {}],
    "attempt_token": ["", "a" * 129, 1],
    "reason": ["", "EXITED", "exited ", "crashed", 1, True, []],
    "signal": ["", "KILL", "sigkill", "SIG", "SIGKILL ", "SIGKILL\n", "SIG" + "A" * 17, 9, True, []],
    **dict.fromkeys(("stdout_bytes", "stderr_bytes", "peak_memory_bytes"), BAD_COUNTS),
    **{name: ["true", "", 0, 1, [], {}] for name in ("stdout_truncated", "stderr_truncated")},
    **{name: [-1, -0.5, "1", True, [], 10**400] for name in ("user_cpu_seconds", "system_cpu_seconds")},
    **{
        name: [-1, 0.5, "0", True, [], 253_402_300_800_000, 10**40, 1e300]
        for name in ("download_started_at_ms", "program_started_at_ms", "program_ended_at_ms")
    },
}  # fmt: skip

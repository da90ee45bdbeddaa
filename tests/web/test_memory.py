"""`web/bodies/memory.py`: the memory of many bodies goes back to the system."""

from __future__ import annotations

from tests.support.child_script import output_of

SCRIPT = """
from jobqueue.web.bodies.memory import return_free_pages, return_large_blocks
return_large_blocks()
blocks = [bytearray(b"x" * 200_000) for _ in range(500)]
del blocks[:-1]
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
before = resident()
return_free_pages()
print(before - resident())
"""


def test_free_memory_below_a_block_in_use_is_returned() -> None:
    assert int(output_of(SCRIPT)) > 50_000

"""What a program may touch: one module for each level of isolation.

levels: the levels by name.
base: level `none`, and what every level can do.
landlock: level `landlock`.
user: level `user`.
bubblewrap: level `bwrap`.
system_calls: denies the kernel's keyrings, and sockets, to a process and all that it starts.
executable: what the first bytes of a file say about whether it can be started.
system_paths: the directories of the host that a sandboxed program may read.
"""

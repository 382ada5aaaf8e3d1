"""What differs between operating systems: every other room is the same on all of them.

- `locks.py`: locks that end with their process;
- `files.py`: files that follow the umask, and what a folder on the disk needs;
- `processes.py`: processors, the beginning of a child process, the memory that a process has had;
- `memory.py`: the memory that is left;
- `terminal.py`: text that a terminal cannot obey, and standard streams that are closed or full;
- `keys.py`: one key from the keyboard.

Modules that only some systems have (`fcntl`, `resource`, `termios`, `msvcrt`) are imported here,
each with a fallback that needs the standard library alone. The team at work in `workers/` is the
exception: it needs Linux and says so.
"""

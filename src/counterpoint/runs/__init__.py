"""Runs: how independent tasks are executed, and how results reach the disk whole or not at all.

Start with `executor.run_tasks`; `files.write_atomically` is the one way in which we write a file.
"""

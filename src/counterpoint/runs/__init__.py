"""Runs: how tasks are executed, and how a run reaches the disk whole or not at all.

Start with `executor.run_tasks` for independent tasks, and with `directory.RunDirectory` for a
training run that can be stopped, killed and resumed; `snapshot.Snapshot` is its state.
`files.write_atomically` is the one way in which we replace a file.
"""

"""The command line: one file a command. A command parses, calls one library function, prints.

`main.py` finds the command, turns our errors into one line on standard error, and sets the exit
status, one of `exits.Exit`.
"""

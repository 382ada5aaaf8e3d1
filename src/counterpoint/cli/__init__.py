"""The command line: one file a command. A command parses, calls one library function, prints.

`main.py` finds the command, turns our errors into one line on standard error, and sets the exit
status: 0 done, 1 a check that the user asked for failed, 2 bad input, 130 interrupted.
"""

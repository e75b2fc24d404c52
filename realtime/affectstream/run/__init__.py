"""Running machines: ``loop`` (on the bus, in real time), ``virtual_time`` (joined, no sockets).

Running processes: ``processes`` (this program's commands), ``supervisor`` (restarts them),
``deployment`` (the file that lists them), ``leash`` (when a process is to stop, and its pulse).
All public names are for others to use.
"""

"""Motion capture from files: reading them, placing their frames in time, playing them as a stream.

Others use ``worker.run_mocap`` to play a recording and ``frames.MocapRecording`` to read one.
"""

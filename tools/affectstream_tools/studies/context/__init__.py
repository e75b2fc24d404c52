"""What context is worth to the context model, on IEMOCAP's labels.

``experiment`` makes the jobs, ``report`` pools what they found, ``files`` saves and reads it.
"""

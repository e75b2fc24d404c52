"""Experiments as jobs that run side by side, and what is kept of them.

Used by others: ``jobs`` (``Job``, ``run_jobs``), ``folders`` (the cache, whole files),
``saved_reports`` (JSON, Markdown and pictures), ``command_line`` (the command behind a report),
and of ``job_process`` the figures of a process: ``machine`` and ``peak_mib``.
"""

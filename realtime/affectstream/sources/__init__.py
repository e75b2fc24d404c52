"""Workers that capture: microphones, recordings played in their place, speech recognition.

Others use ``run_microphone``, ``run_audio_file`` and ``run_transcriber`` (``microphone``,
``audio_file``, ``asr``), and ``speech`` for the voice detectors. ``mocap`` has motion capture.
"""

"""Speech in captured audio: its utterances, their descriptors and their words.

Sources use ``segmenter`` (audio to messages), ``voice_activity`` (which frames hold a voice) and
``descriptors`` (a front end over each utterance); the worker for words uses ``transcriber`` and
``recognition``. The rest serves these.
"""

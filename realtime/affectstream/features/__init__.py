"""Descriptors of sound, faces and words: what the models read, computed with numpy alone.

Front ends take a stream in chunks of any size (``push``, ``finish``): ``egemaps``, ``tripathi34``,
``woellmer``, ``face_markers``, ``mocap``. ``functionals`` and ``text`` work on whole utterances.
"""

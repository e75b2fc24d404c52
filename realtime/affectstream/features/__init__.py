"""Descriptors of sound, faces and words: what the models read, computed with numpy alone.

``egemaps``, ``tripathi34``, ``woellmer`` and ``face_markers`` take a stream in chunks of any size
(``push``, ``finish``). ``functionals``, ``mocap`` and ``text`` make equally many numbers of any
utterance.
"""

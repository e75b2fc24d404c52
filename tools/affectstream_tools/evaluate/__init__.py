"""How good the shipped models and the front ends are, and what they agree with.

``dialogue_scores`` scores the context model on whole dialogues, ``scenario_protocol`` on unseen
scenarios; ``live_path`` plays clips as a microphone would, ``live_scores`` scores them.
``opensmile_agreement``, ``references`` and ``cross_corpus`` compare the front ends with others'.
"""

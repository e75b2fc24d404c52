"""What is said in the demo dialogue, how, and with which intended emotion."""

from __future__ import annotations

from dataclasses import dataclass

SPEAKERS = {"anna": "en-us+f2", "ben": "en-us+m3"}
"""Speaker -> espeak-ng voice, in the order of the recording's channels."""


@dataclass(frozen=True, slots=True)
class ScriptTurn:
    """One utterance.

    Attributes:
        emotion: what the turn is meant to carry: neutral, sadness, anger or happiness. Nobody
            judged it; it is an intention, not an annotation.
        pause_s: silence before the turn.
        rate_wpm, pitch, pitch_range, volume: espeak-ng's.
    """

    speaker: str
    text: str
    emotion: str
    pause_s: float
    rate_wpm: int = 170
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 80


# Sad is slow, low and flat; angry fast, loud and tense; happy high and lively.
_SAD = {"rate_wpm": 150, "pitch": 35, "pitch_range": 20, "volume": 55}
_ANGRY = {"rate_wpm": 195, "pitch": 62, "pitch_range": 75, "volume": 130}
_HAPPY = {"rate_wpm": 188, "pitch": 72, "pitch_range": 90, "volume": 100}

TURNS = (
    ScriptTurn("anna", "good morning how are you today", "neutral", 0.6),
    ScriptTurn("ben", "hello my friend i am all right", "neutral", 0.7),
    ScriptTurn("anna", "i am very sad my cat is gone and i miss her", "sadness", 0.9, **_SAD),
    ScriptTurn("ben", "i am so sorry i know how you feel", "sadness", 0.9, **_SAD),
    ScriptTurn("anna", "where have you been i called you all night", "anger", 0.8, **_ANGRY),
    ScriptTurn("ben", "i had to work you never listen to me", "anger", 0.6, **_ANGRY),
    ScriptTurn("anna", "you lied to me again leave me alone", "anger", 0.6, **_ANGRY),
    ScriptTurn("ben", "please forgive me i am sorry it was my fault", "sadness", 1.0, **_SAD),
    ScriptTurn("anna", "i understand let us talk about it", "neutral", 0.9),
    ScriptTurn("ben", "i have good news i found your cat", "happiness", 0.8, **_HAPPY),
    ScriptTurn("anna", "i can not believe it i am so happy", "happiness", 0.6, **_HAPPY),
    ScriptTurn("ben", "let us go home and see her", "happiness", 0.6, **_HAPPY),
)
CLOSING_PAUSE_S = 1.0

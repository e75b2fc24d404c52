"""Speech as training sees it: samples at 16 kHz, and phones and word starts with their times."""

from __future__ import annotations

from dataclasses import dataclass

import kaldi_native_fbank
import numpy as np
import soxr
from numpy.typing import NDArray

from affectstream_tools.synthesis.espeak import Espeak, EspeakVoice, WordEvent

ESPEAK_RATE_HZ = 16_000
_COEFFICIENTS = 40
SILENCE = "SIL"

# espeak-ng writes allophones that sound alike, or that are too rare to learn.
_MERGED = {
    "t#": "t", "t2": "t", "r-": "r", "@2": "@", "I#": "I", "I2": "I", "i@3": "i@", "aI3": "aI@",
    "@5": "oU", "e#": "E", "u": "u:", "O2": "O:", "aa": "a", "d#": "d",
}  # fmt: skip
_SPLIT = {"@L": ("@", "l")}
_PAUSES = {"_:", "_", "_|", "_^_", "_!", "__"}
_SECOND_PHONE_S = 0.03

TRAINING_VARIANTS = (
    "", "+m1", "+m3", "+m4", "+m6", "+m8", "+f1", "+f2", "+f4", "+Andy", "+Annie", "+Alicia",
    "+adam", "+linda", "+steph", "+steph2", "+Michael", "+max", "+paul", "+rob", "+john",
    "+grandma", "+grandpa", "+klatt", "+Gene", "+belinda", "+caleb", "+david", "+norbert",
    "+pablo", "+travis", "+zac", "+Alex", "+Andrea", "+Denis", "+Diogo", "+Henrique", "+Hugo",
    "+Jacky", "+Lee", "+Mario", "+announcer", "+antonio", "+aunty", "+boris", "+ed", "+edward2",
    "+gustave", "+iven", "+klatt2", "+klatt3", "+marcelo", "+miguel", "+pedro", "+quincy",
    "+robert", "+sandro", "+steph3", "+victor",
)  # fmt: skip
DEVELOPMENT_VOICES = ("en-us+m7", "en-us+f5", "en-us+m2", "en-us+f3", "en+m5")
"""Never trained on; the decoder's options were chosen with them."""
EVALUATION_VOICES = (
    "en-us+Mike", "en-us+edward", "en-us+anika", "en-us+shelby", "en-us+Marco", "en+f3",
    "en+benjamin",
)  # fmt: skip
"""Never trained on and never tuned on."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone and when it begins; ``word`` is the word's place in the sentence, -1 for none."""

    name: str
    start_s: float
    word: int


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A spoken sentence.

    Attributes:
        samples: float32 at 16 kHz, in the scale of 16-bit integers.
        phones: in order of time.
        word_starts: place in the sentence -> seconds; words that espeak-ng runs together have
            only the first one's entry.
    """

    samples: NDArray[np.float32]
    phones: tuple[Phone, ...]
    word_starts: dict[int, float]


def speak_sentence(
    espeak: Espeak, text: str, voice: EspeakVoice, warp: float = 1.0
) -> SpokenSentence:
    """Return ``text`` (words separated by single spaces) spoken by ``voice``.

    ``warp`` above 1 plays the voice faster and higher, which moves the formants too.
    """
    spoken = espeak.say(text, voice)
    rate_hz = spoken.sample_rate_hz * warp
    samples = soxr.resample(spoken.samples.astype(np.float32), rate_hz, ESPEAK_RATE_HZ)
    places = _word_places(text)
    phones: list[Phone] = []
    word_starts: dict[int, float] = {}
    word = -1
    pending_s: float | None = None
    for event in spoken.events:
        time_s = event.sample / rate_hz
        if isinstance(event, WordEvent):
            word = places.get(event.offset, word)
            word_starts.setdefault(word, time_s)
            pending_s = time_s
        elif event.name in _PAUSES:
            phones.append(Phone(SILENCE, time_s, -1))
        else:
            name = _MERGED.get(event.name, event.name)
            if name in ("", ";"):
                continue
            parts = _SPLIT.get(name, (name,))
            # The closure before a word's first stop belongs to the stop.
            phones.append(Phone(parts[0], time_s if pending_s is None else pending_s, word))
            phones += [Phone(part, time_s + _SECOND_PHONE_S, word) for part in parts[1:]]
            pending_s = None
    return SpokenSentence(samples, tuple(phones), word_starts)


def in_noise(
    generator: np.random.Generator, samples: NDArray[np.float32], lead_s: float, trail_s: float
) -> NDArray[np.float32]:
    """Return ``samples`` with silence around them, at a random level, in random noise.

    One in five keeps a digitally silent background: without them the model hears words in it.
    """
    lead, trail = int(lead_s * ESPEAK_RATE_HZ), int(trail_s * ESPEAK_RATE_HZ)
    padded = np.concatenate([np.zeros(lead, np.float32), samples, np.zeros(trail, np.float32)])
    peak = np.abs(padded).max() + 1
    padded = padded * (10 ** (generator.uniform(-26, -1) / 20) * 32767 / peak)
    if generator.random() > 0.2:
        rms = np.sqrt((padded[lead : len(padded) - trail] ** 2).mean()) + 1e-3
        ratio_db = generator.uniform(8, 45)
        noise = _noise(generator, len(padded))
        padded = padded + noise * (rms * 10 ** (-ratio_db / 20) / (noise.std() + 1e-9))
    clipped: NDArray[np.float32] = np.clip(np.round(padded), -32768, 32767).astype(np.float32)
    return clipped


def non_speech(generator: np.random.Generator) -> NDArray[np.float32]:
    """Return 1 to 3 s of tones, chords, sweeps or clicks, in which no word is to be heard."""
    count = int(ESPEAK_RATE_HZ * generator.uniform(1.0, 3.0))
    t = np.arange(count) / ESPEAK_RATE_HZ
    kind = generator.integers(4)
    f0_hz = np.exp(generator.uniform(np.log(80), np.log(3000)))
    if kind == 0:
        harmonics = range(1, int(generator.integers(2, 8)))
        signal = sum(np.sin(2 * np.pi * f0_hz * k * t) * generator.random() for k in harmonics)
    elif kind == 1:
        notes = generator.choice(24, 3)
        signal = sum(np.sin(2 * np.pi * f0_hz * 2 ** (k / 12) * t) for k in notes)
    elif kind == 2:
        signal = np.sin(2 * np.pi * f0_hz * t * (1 + generator.uniform(-0.3, 0.3) * t))
    else:
        clicks = np.zeros(count)
        clicks[generator.integers(0, count, 6)] = 1
        decay = np.exp(-np.arange(300) / 60)
        signal = np.convolve(clicks, generator.standard_normal(300) * decay)[:count]
    if generator.random() < 0.5:
        signal = signal * (0.3 + 0.7 * np.sin(2 * np.pi * generator.uniform(0.2, 3) * t) ** 2)
    return np.asarray(signal, dtype=np.float32)


def coefficients(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 40 cepstral coefficients that ``conf/mfcc.conf`` describes, shape (frames, 40)."""
    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = ESPEAK_RATE_HZ
    options.mel_opts.num_bins = 40
    options.mel_opts.low_freq = 20
    options.mel_opts.high_freq = 7600
    options.num_ceps = _COEFFICIENTS
    options.use_energy = False
    extractor = kaldi_native_fbank.OnlineMfcc(options)
    extractor.accept_waveform(ESPEAK_RATE_HZ, samples.tolist())
    extractor.input_finished()
    frames = [extractor.get_frame(index) for index in range(extractor.num_frames_ready)]
    return np.array(frames, dtype=np.float32).reshape(-1, _COEFFICIENTS)


def _word_places(text: str) -> dict[int, int]:
    places, position = {}, 0
    for index, word in enumerate(text.split()):
        places[position] = index
        position += len(word) + 1
    return places


def _noise(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    noise = generator.standard_normal(count).astype(np.float32)
    if generator.random() < 0.6:  # coloured
        pole = generator.uniform(0.5, 0.97)
        spectrum = np.fft.rfft(noise)
        angle = np.linspace(0, np.pi, len(spectrum))
        spectrum /= np.abs(1 - pole * np.exp(-1j * angle))
        noise = np.fft.irfft(spectrum, count).astype(np.float32)
    return noise

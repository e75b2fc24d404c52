"""The picture of a live dialogue: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from affectstream.messages import (
    Dimension,
    Emotion,
    Gap,
    Message,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.show.live_view import SHOWN_ROWS, LiveView
from affectstream.show.wording import event_line
from bus_helpers import closed, emotion, opened, transcript
from hostile import HOSTILE, shown_safely

S = 1_000_000_000
WORDS = "i can not believe that you have been there all night long without me and never called"


def terminal(width: int) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=40, force_terminal=True, color_system="truecolor"
    )


def estimate(number: int, revision: int = 0, **more: object) -> Emotion:
    third = (0.2, 0.3, 0.5)
    known = emotion(number, revision, session="demo")
    fields = {
        "start_ns": number * 3 * S,
        "end_ns": number * 3 * S + S,
        "text": WORDS,
        "dimensional": {
            "valence": Dimension(mean=2.25, levels=third),
            "activation": Dimension(mean=3.75, levels=third),
        },
    }
    return msgspec.structs.replace(known, **(fields | more))


def spoken(view: LiveView) -> None:
    messages: list[Message] = [opened("mic.anna", "demo"), opened("asr.mic.anna", "demo")]
    messages += [estimate(number) for number in range(4)]
    messages += [
        estimate(1, 1, categorical={"anger": 0.81, "happiness": 0.1, "neutral": 0.09}),
        estimate(0, 1, status="final"),
        UtteranceStarted(
            session="demo", source="mic.anna", utterance="anna-0009", speaker="anna", start_ns=9
        ),
        msgspec.structs.replace(
            transcript(9, session="demo"), final=False, text="where have you been"
        ),
    ]
    for message in messages:
        view.receive(message)


def picture(width: int, view: LiveView) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(view.render())
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_picture_fits_and_says_the_important_at_any_width(width: int) -> None:
    view = LiveView(terminal(width), "affectstream")
    spoken(view)
    lines = picture(width, view)
    assert all(cell_len(line) == width for line in lines)
    rows = [line for line in lines if "anna" in line and "%" in line]
    assert len(rows) == 4, "each utterance is one line"
    assert all("neutral    50%" in row for row in (rows[0], *rows[2:]))
    assert "anger      81%" in rows[1]
    assert all("2.2" in row for row in rows) is (width >= 80)
    assert "final" in rows[0]
    assert any("where have you been" in line for line in lines)
    assert any("mic.anna" in line for line in lines)


@pytest.mark.parametrize(
    ("width", "words"), [(60, "neutral?   50%"), (80, "unsure (neutral?)  50%")]
)
def test_what_is_not_sure_is_said_so(width: int, words: str) -> None:
    view = LiveView(terminal(width), "affectstream")
    view.receive(estimate(0, sure=False))
    (row,) = [row for row in picture(width, view) if "%" in row]
    assert words in row
    assert "provisional" in row
    assert "unsure (neutral?)" in (event_line(estimate(0, sure=False)) or "")
    assert "unsure" not in (event_line(estimate(0)) or "")


def test_a_changed_mind_is_marked() -> None:
    view = LiveView(terminal(120), "affectstream")
    spoken(view)
    rows = [line for line in picture(120, view) if "%" in line]
    assert ["≠" in row for row in rows] == [False, True, False, False]


def test_colours_reach_the_terminal_and_it_is_left_in_order() -> None:
    console = terminal(100)
    with LiveView(console, "affectstream") as view:
        spoken(view)
    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    assert "\x1b[31m" in written, "anger is red"
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "the cursor is back"


def test_only_the_latest_rows_are_shown_and_everything_is_counted() -> None:
    view = LiveView(terminal(100), "affectstream")
    for number in range(40):
        view.receive(estimate(number))
        view.receive(estimate(number))  # no news
    assert view.counts["provisional"] == 40
    assert sum("%" in line for line in picture(100, view)) == SHOWN_ROWS


def test_what_a_speaker_says_goes_when_the_utterance_ends_and_a_gap_stays() -> None:
    view = LiveView(terminal(100), "affectstream")
    spoken(view)
    view.receive(
        UtteranceEnded(
            session="demo",
            source="mic.anna",
            utterance="anna-0009",
            speaker="anna",
            start_ns=9,
            end_ns=10,
        )
    )
    view.receive(closed("mic.anna", "demo"))
    view.receive(
        Gap(session="demo", source="m", of="mic.anna", lost="audio", count=7, reason="too slow")
    )
    text = "\n".join(picture(100, view))
    assert "where have you been" not in text
    assert "lost 7 audio of mic.anna: too slow" in text
    assert view.counts["gaps"] == 1


def test_words_with_brackets_are_shown_as_they_are() -> None:
    view = LiveView(terminal(120), "affectstream")
    view.receive(estimate(1, text="[LAUGHTER] [bold]no[/bold] [/]"))
    text = "\n".join(picture(120, view))
    assert "[LAUGHTER] [bold]no[/bold] [/]" in text


def test_without_a_terminal_every_message_is_one_plain_line() -> None:
    console = Console(file=io.StringIO(), width=80)
    with LiveView(console, "affectstream") as view:
        spoken(view)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert "\x1b" not in console.file.getvalue()
    assert lines[0].startswith("Emotion inferred"), "the notice comes first"
    assert sum("provisional" in line for line in lines) == 4
    assert sum("final" in line for line in lines) == 1
    assert len(lines) == 1 + 2 + 6 + 1, lines


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("on_terminal", [True, False])
def test_no_name_reason_or_text_commands_the_terminal_or_forges_a_line(
    words: str, on_terminal: bool
) -> None:
    def shown(name: str) -> list[str]:
        screen = io.StringIO()
        console = Console(
            file=screen, width=400, height=60, force_terminal=on_terminal, color_system=None
        )
        view = LiveView(console, "affectstream")
        for message in messages_with(name):
            view.receive(message)
        if on_terminal:
            console.print(view.render())
        assert shown_safely(screen.getvalue())
        return screen.getvalue().split("\n")

    assert len(shown(words)) == len(shown("plain"))


def messages_with(words: str) -> list[Message]:
    """One message of every kind that is shown, with the same words wherever words may be."""
    named = {"session": words, "source": words}
    of = {**named, "utterance": words, "speaker": words}
    return [
        StreamOpened(**named, modality=words, clock_id=words),
        UtteranceStarted(**of, start_ns=0),
        Transcript(**of, text=words, start_ns=0, end_ns=1, final=False, engine=words),
        Transcript(**of, text=words, start_ns=0, end_ns=1, final=True, engine=words),
        msgspec.structs.replace(estimate(1), **of, text=words, categorical={words: 1.0}),
        msgspec.structs.replace(
            estimate(2), **of, text=words, categorical={words: 1.0}, modalities={words: 1.0}
        ),
        Gap(**named, of=words, lost=words, count=1, reason=words),
        StreamClosed(**named, reason=words),
    ]

"""The context model: estimates an utterance's emotion from it, all before it and a few after it.

Knows: the features of utterances, the forward state of a dialogue, and its open window: the
utterances whose estimates may still change.
Refuses to know: time, streams, revisions, and how it was trained. It holds weights only; its caller
keeps the state of each dialogue, passes it in and gets the next one back.

The estimate of utterance t, when k later utterances are known, uses the forward LSTM over 0..t and
the backward LSTM over t+k down to t, both from zero states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from affectstream_models.context.batches import collate
from affectstream_models.context.forward_chain import advance_chains
from affectstream_models.context.network import ContextNetwork, UtteranceBatch
from affectstream_models.context.offline import dialogue_outputs
from affectstream_models.context.open_window import estimate_windows
from affectstream_models.context.scores import estimates_of, mean_step_scores
from affectstream_models.context.steps import NO_ACOUSTIC, NO_TEXT, StackedMembers
from affectstream_models.context.values import (
    CONTEXT_MODALITIES,
    Encoded,
    ForwardState,
    UtteranceEstimate,
    UtteranceInputs,
    WindowEntry,
)
from affectstream_models.text.sentence_encoder import SentenceEncoder, sentence_encoder
from affectstream_models.text.word_encoder import TextEncoder

_VARIANT = {"acoustic": NO_ACOUSTIC, "text": NO_TEXT}


class StreamingContextModel:
    """A network's weights, as a model of streams: ``encode``, ``advance``, ``estimate``.

    Args:
        sentences: the sentence encoder, if the network needs one; None loads the one it names.

    Attributes:
        id: the name under which estimates are published.
        sha256: of the checkpoint file, in hexadecimal.
        look_ahead: how many later utterances it was trained to use.
        acoustic_mean, acoustic_sd: (47,) float32, of the statistics of all training speakers.
        speaker_prior: when statistics are normalised by speaker, how many of the speaker's
            utterances weigh as much as the training speakers' mean. Infinite: only that mean is
            used.
        sure_above: an estimate is unsure if its most probable class has less than this.
        trained_speakers: names of the training speakers, such as ``iemocap/Ses01F``.

    Raises:
        ValueError: the network needs a sentence encoder whose package is not installed.
    """

    modalities: tuple[str, ...] = CONTEXT_MODALITIES

    def __init__(
        self,
        network: ContextNetwork,
        *,
        id: str,
        sha256: str,
        look_ahead: int = 8,
        speaker_prior: float = math.inf,
        sure_above: float = 0.0,
        trained_speakers: Sequence[str] = (),
        sentences: SentenceEncoder | None = None,
    ) -> None:
        self.id = id
        self.sha256 = sha256
        self.look_ahead = look_ahead
        self.speaker_prior = speaker_prior
        self.sure_above = sure_above
        self.trained_speakers = tuple(trained_speakers)
        self._network = network.eval()
        self._members = StackedMembers(network)
        if sentences is None and network.config.sentence_encoder:
            sentences = sentence_encoder(network.config.sentence_encoder)
        self._text = TextEncoder(
            network.ngram_hashes.numpy(),
            network.word_hashes.numpy(),
            network.word_vectors.numpy(),
            sentences,
        )
        self.acoustic_mean = network.acoustic_mean.numpy()
        self.acoustic_sd = network.acoustic_sd.numpy()

    def initial_state(self) -> ForwardState:
        """Return the state before a dialogue's first utterance."""
        zeros = torch.zeros(self._members.members * self._members.hidden)
        return ForwardState(zeros, zeros)

    @torch.inference_mode()
    def encode(self, inputs: Sequence[UtteranceInputs]) -> list[Encoded]:
        """Return each utterance encoded on its own. They may be of different dialogues.

        Raises:
            ValueError: acoustic statistics have another shape than (47,).
        """
        if not inputs:
            return []
        batch = self._batch(inputs)
        vectors = self._members.encode(batch)  # (B, 3, E)
        present = torch.cat((batch.has_acoustic, batch.has_text), dim=1).tolist()
        encoded = []
        for one, row, there in zip(inputs, vectors, present, strict=True):
            own = row.clone()  # so that one utterance does not keep the whole batch in memory
            without = {
                name: own[_VARIANT[name]]
                for name, flag in zip(CONTEXT_MODALITIES, there, strict=True)
                if flag
            }
            encoded.append(Encoded(one.speaker, own[0], without))
        return encoded

    @torch.inference_mode()
    def advance(
        self, states: Sequence[ForwardState], chains: Sequence[Sequence[Encoded]]
    ) -> list[list[ForwardState]]:
        """Carry the forward LSTM of many dialogues on at once.

        Args:
            states: of each dialogue, before its chain.
            chains: for each dialogue, its next utterances in order.

        Returns:
            The state after each utterance of each chain.
        """
        return advance_chains(self._members, states, chains)

    @torch.inference_mode()
    def estimate(self, windows: Sequence[Sequence[WindowEntry]]) -> list[list[UtteranceEstimate]]:
        """Estimate every utterance of many dialogues' open windows.

        Args:
            windows: for each dialogue its open utterances, oldest first. The backward LSTM starts
                from zeros behind the last one.

        Returns:
            One estimate per utterance, in the windows' order.
        """
        return estimate_windows(self._members, windows)

    @torch.inference_mode()
    def offline(
        self,
        dialogue: Sequence[UtteranceInputs],
        look_ahead: int | None,
        *,
        influence: bool = True,
    ) -> list[UtteranceEstimate]:
        """Return the estimates of a whole dialogue at once, by torch's own LSTMs.

        A stream's final estimates must equal these.

        Args:
            look_ahead: later utterances that each estimate may use; None is all of them.
            influence: whether to compute the modalities' influence too, which takes longer.
        """
        if not dialogue:
            return []
        batch = self._batch(dialogue)
        batches, masked = [batch], []
        if influence:
            masked = [
                (place, name)
                for name, there in (("acoustic", batch.has_acoustic), ("text", batch.has_text))
                for place in torch.nonzero(there[:, 0])[:, 0].tolist()
            ]
            nothing = torch.zeros_like(batch.has_text)
            batches += [batch.masked(acoustic=nothing), batch.masked(text=nothing)]
        outputs = dialogue_outputs(
            self._network,
            batches,
            [one.speaker for one in dialogue],
            look_ahead,
            [(place, _VARIANT[name]) for place, name in masked],
        )
        temperature = float(self._network.temperature)
        scores = mean_step_scores(
            outputs, temperature, len(dialogue), self._network.config.clusters
        )
        return estimates_of(scores, len(dialogue), masked)

    def _batch(self, inputs: Sequence[UtteranceInputs]) -> UtteranceBatch:
        return collate(
            [one.acoustic for one in inputs],
            [self._text.features(one.text) for one in inputs],
        )

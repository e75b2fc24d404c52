"""The numbers that the two papers print, row by row.

Knows: only what could be read in a source, and which row it belongs to. A row whose printed
number was not found has None; nothing here is from memory. Refuses to know: our numbers.

**T**, Tripathi and Beigi 2018, arXiv 1804.05788. The abstract, read in the README of the authors'
repository (Samarth-Tripathi/IEMOCAP-Emotion-Detection), gives 55.65 (speech), 64.78 (text), 51.11
(MoCap), 68.40 (text and speech), 71.04 (all three), 62.72 beside another work's 62.85 (speech,
improvised) and another work's 54. The authors' notebooks print the same figures, which says whose
they are: 64.78 the text LSTM with learned embeddings (text.ipynb, epoch 4 of 30), 51.11 the
200 x 189 convolutional Model 3 (Mocap.ipynb, epoch 33 of 50), 68.40 and 71.04 the combined Models
3 and 6 on session 5 (Combined_ses5_test.ipynb, epochs 11 and 18 of 20). Each is the best epoch on
the part that is scored: 71.04 is followed by 69.22 and 66.85. 55.65 and 62.72 are those of speech
Model 4. The other rows' numbers could not be verified, nor the order of the tables, which here is
that of the paper's sections: speech, speech beside other work, text, MoCap, combined.

A 20 % split has 988 of 4,936 utterances. 55.65, 68.40 and 71.04 % are no share of 988, but are
shares of the 1,098 of session 5. The notebooks' 20 % is the last fifth of the utterances in the
corpus's order, all of session 5, not a random one.

**W**, Woellmer, Metallinou, Eyben, Schuller and Narayanan, Interspeech 2010. The BLSTM's F1 for
valence (65.18), activation (56.89) and 3, 4 and 5 clusters (72.34, 62.78, 55.00) are those that
this project was asked to exceed. The abstract gives the order of 72 % (three clusters), 65 %
(valence) and 55 % (activation), which agrees but for activation. Accuracy, recall and precision,
and every number of the HMMs, the SVM and the LSTM, could not be verified. The rows are the
classifiers and features that the paper compares: v voice, f face.
"""

from __future__ import annotations

TITLES = {
    "t1": "Tripathi and Beigi, Table 1: speech",
    "t2": "Tripathi and Beigi, Table 2: speech beside other work",
    "t3": "Tripathi and Beigi, Table 3: text",
    "t4": "Tripathi and Beigi, Table 4: motion capture",
    "t5": "Tripathi and Beigi, Table 5: combined",
    "w2": "Woellmer et al., Table 2: valence and activation",
    "w3": "Woellmer et al., Table 3: clusters",
}

_ACCURACY: dict[str, dict[str, float | None]] = {
    "t1": {
        "Model 1: MLP": None,
        "Model 2: LSTM": None,
        "Model 3: attention LSTM": None,
        "Model 4: bidirectional attention LSTM": 55.65,
    },
    "t2": {
        "Lee and Tashev 2015, improvised": 62.85,
        "Model 4, improvised": 62.72,
        "Chernykh et al. 2017, CTC": 54.0,
        "Model 4, all": 55.65,
    },
    "t3": {
        "Model 1: CNN, GloVe": None,
        "Model 2: LSTM, GloVe": None,
        "Model 3: LSTM, learned embeddings": 64.78,
    },
    "t4": {
        "Head Model 1: LSTM": None,
        "Head Model 2: dense": None,
        "Hand Model 1: LSTM": None,
        "Hand Model 2: dense": None,
        "Face Model 1: LSTM": None,
        "Face Model 2: CNN": None,
        "Face Model 3: CNN, dense": None,
        "Combined Model 3: CNN, dense": 51.11,
    },
    "t5": {
        "Model 1: text and speech, dense": None,
        "Model 2: text LSTM and speech, learned embeddings": None,
        "Model 3: Model 2 with GloVe": 68.40,
        "Model 4: Model 3 and MoCap Model 2": None,
        "Model 5: Model 3 and MoCap Model 1": None,
        "Model 6: Model 4 with attention LSTM for speech": 71.04,
    },
}
_CLASSIFIERS = (
    "HMM, v",
    "HMM, f",
    "HMM, v+f",
    "HMM+LM, v+f",
    "SVM, v+f",
    "LSTM, v+f",
    "BLSTM, v+f",
)
_TASKS: dict[str, dict[str, float]] = {
    "w2": {"valence": 65.18, "activation": 56.89},
    "w3": {"3 clusters": 72.34, "4 clusters": 62.78, "5 clusters": 55.00},
}
W_METRICS = ("accuracy", "uar", "precision", "f1")

PRINTED: dict[tuple[str, str, str], float | None] = {
    **{
        (table, row, "accuracy"): value
        for table, rows in _ACCURACY.items()
        for row, value in rows.items()
    },
    **{
        (table, f"{task}: {classifier}", metric): (
            value if classifier == "BLSTM, v+f" and metric == "f1" else None
        )
        for table, tasks in _TASKS.items()
        for task, value in tasks.items()
        for classifier in _CLASSIFIERS
        for metric in W_METRICS
    },
}
"""Per cent by table, row and metric, in the papers' order."""

QUOTED = {"Lee and Tashev 2015, improvised", "Chernykh et al. 2017, CTC"}
"""Rows in which the paper quotes another work; there is nothing of ours beside them."""


def printed(table: str, row: str, metric: str = "accuracy") -> float | None:
    """Return the paper's number, per cent; None where it was not found, or has no such row."""
    return PRINTED.get((table, row, metric))

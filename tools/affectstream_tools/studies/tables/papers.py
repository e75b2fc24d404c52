"""The numbers that the two papers print, row by row.

Knows: only what a source confirms, and which row it belongs to. A row whose printed number no
source confirms has None. Refuses to know: our numbers.

**T**, Tripathi and Beigi 2018, arXiv 1804.05788. The paper's tables could not be read. The
abstract, read in the README of the authors' repository, Samarth-Tripathi/IEMOCAP-Emotion-Detection,
gives 55.65 (speech), 64.78 (text), 51.11 (MoCap), 68.40 (text and speech), 71.04 (all three), 62.72
beside another work's 62.85 (speech, improvised) and another work's 54. Every other number is quoted
second-hand, and is here only because a log in the authors' notebooks has it for the same network.
Each is there the best epoch on the part that is scored (71.04 is followed by 69.22 and 66.85):

| notebook | rows | best epoch |
| --- | --- | --- |
| Speech | speech 1, 2, 3, 4 | 26 of 80, 24 of 60, 57 of 60, 73 of 100 |
| Speech_improv | speech 4, improvised | 64 of 100 |
| text | text 1, 2, 3 | 59 of 125, 26 and 28 of 30, 4 of 30 |
| Mocap | head 1, 2 | 7 of 25, 26 of 30 |
| Mocap | face 1, 2, 3; combined 3 | 14 of 30, 4 of 50, 10 of 50; 33 of 50 |
| Combined | combined 1, 2 | 13 of 30, 8 of 10 |
| Combined_ses5_test | combined 3, 4, 5, 6 | 11 and 14, 3, 8, 18 of 20 |

Speech 1 is quoted as 50.6; the log has 50.61. Unconfirmed are both models of the hand: the best
epochs in Mocap are 34.41 and 36.94 (the second never leaves one class), those quoted are others.
Nor is the order of the tables known, which here is that of the paper's sections: speech, speech
beside other work, text, MoCap, combined.

Two parts are scored. Speech 4 and combined 3 to 6 are scored on session 5, 1,098 of 4,936
utterances, and speech 4, improvised, on its 625 improvised ones; all others on the last fifth, 988,
in the corpus's order, which lies in session 5 and is not random. Combined 3 has 69.74 on that fifth
(Combined, epoch 8 of 10); the row has the abstract's 68.40.

**W**, Woellmer, Metallinou, Eyben, Schuller and Narayanan, Interspeech 2010. The BLSTM's F1 for
valence (65.18), activation (56.89) and 3, 4 and 5 clusters (72.34, 62.78, 55.00) are quoted
second-hand and could not be read in the paper. The abstract gives the order of 72 % (three
clusters), 65 % (valence) and 55 % (activation), which agrees but for activation. Accuracy, recall
and precision, and every number of the HMMs, the SVM and the LSTM, could not be verified. The rows
are the classifiers and features that the paper compares: v voice, f face.
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

HEADLINES = {**dict.fromkeys(("t1", "t2", "t3", "t4", "t5"), "accuracy"), "w2": "f1", "w3": "f1"}
"""The one metric by which a table is read: that of the printed numbers that are known."""

REMARKS = {
    "t1": "The paper scores models 1 to 3 on the last 20 % of the corpus, model 4 on session 5.",
    "t2": "The paper scores session 5.",
    "t3": "The paper scores the last 20 % of the corpus.",
    "t4": "The paper scores the last 20 % of the corpus.",
    "t5": "The paper scores models 1 and 2 on the last 20 % of the corpus, 3 to 6 on session 5.",
    "w2": "v: voice, f: face. The paper's folds leave out a speaker, session folds two.",
    "w3": "v: voice, f: face. The paper's folds leave out a speaker, session folds two.",
}
"""What a reader must know of each of the papers' tables."""

_ACCURACY: dict[str, dict[str, float | None]] = {
    "t1": {
        "Model 1: MLP": 50.61,
        "Model 2: LSTM": 51.32,
        "Model 3: attention LSTM": 54.15,
        "Model 4: bidirectional attention LSTM": 55.65,
    },
    "t2": {
        "Lee and Tashev 2015, improvised": 62.85,
        "Model 4, improvised": 62.72,
        "Chernykh et al. 2017, CTC": 54.0,
        "Model 4, all": 55.65,
    },
    "t3": {
        "Model 1: CNN, GloVe": 62.55,
        "Model 2: LSTM, GloVe": 64.68,
        "Model 3: LSTM, learned embeddings": 64.78,
    },
    "t4": {
        "Head Model 1: LSTM": 37.75,
        "Head Model 2: dense": 40.28,
        "Hand Model 1: LSTM": None,
        "Hand Model 2: dense": None,
        "Face Model 1: LSTM": 48.99,
        "Face Model 2: CNN": 48.58,
        "Face Model 3: CNN, dense": 49.39,
        "Combined Model 3: CNN, dense": 51.11,
    },
    "t5": {
        "Model 1: text and speech, dense": 65.38,
        "Model 2: text LSTM and speech, learned embeddings": 67.41,
        "Model 3: Model 2 with GloVe": 68.40,
        "Model 4: Model 3 and MoCap Model 2": 67.94,
        "Model 5: Model 3 and MoCap Model 1": 68.58,
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


def task_and_model(table: str, row: str) -> tuple[str, str]:
    """Split ``valence: SVM, v+f`` of w2 and w3 at its colon; in t1 to t5 a row is a model.

    Returns:
        The task, empty where the table has one task only, and the model.
    """
    task, _, model = row.partition(": ") if table.startswith("w") else ("", "", row)
    return (task, model) if model else ("", row)

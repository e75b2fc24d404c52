"""The classifiers of Wöllmer et al. (2010): HMMs, an SVM, and an LSTM or BLSTM over a dialogue.

Others use ``hmm_classifiers``, ``svm_classifier``, ``networks``, and ``selection`` to choose
columns. ``inputs.UNLABELLED`` marks an utterance without a class.
"""

"""The papers' numbers beside ours: rows, one-screen tables, files and pictures.

``PaperExperiments`` is what a paper's study offers, ``TableRow`` and ``ConfusionTable`` what it
returns; ``save_table_report`` and ``load_table_report`` keep and read reports.
"""

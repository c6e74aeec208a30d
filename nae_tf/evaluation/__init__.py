"""Evaluation of a run: metrics, the report, samples and their distance."""

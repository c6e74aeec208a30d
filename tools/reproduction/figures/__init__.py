"""Figures of the paper: arrays computed from runs."""

"""Figures of the paper: arrays that are taken from runs."""

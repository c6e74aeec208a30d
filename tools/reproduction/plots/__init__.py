"""Figures of the paper: arrays drawn by matplotlib."""

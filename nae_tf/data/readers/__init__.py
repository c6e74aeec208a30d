"""Readers of a user's files: arrays, images, tables."""

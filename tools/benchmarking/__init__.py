"""Benchmarks: what is timed, beside the same model in PyTorch."""

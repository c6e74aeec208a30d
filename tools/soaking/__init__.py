"""Parts of tools/soak.py, one long trial each."""

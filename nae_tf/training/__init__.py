"""Training of a run: phases, callbacks, records, replicas, interruption."""

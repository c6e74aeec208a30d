"""Tables and figures of the paper, made from trained runs."""

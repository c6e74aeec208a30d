"""Tables and figures of the paper: what they are made of."""

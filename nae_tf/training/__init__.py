"""Training of a run: phases, callbacks, records, replicas, interruption."""

from nae_tf.training.exact_resume import ExactResume

__all__ = ["ExactResume"]

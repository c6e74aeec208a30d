"""Training of a run: phases, callbacks, records, replicas, interruption."""

from nae_tf.training.exact_resume import ExactResume
from nae_tf.training.selection_auroc import SelectionAuroc
from nae_tf.training.verdict import Verdict

__all__ = ["ExactResume", "SelectionAuroc", "Verdict"]

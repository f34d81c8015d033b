"""The unlearning algorithms: one small file and one row each.

The learning rates fit models of about a million parameters (methods/01 section 3).
"""

from core.unlearning.audit.algorithms import ga, npo
from core.unlearning.audit.algorithms.base import Algorithm, Forgetting

ALGORITHMS: dict[str, Algorithm] = {
    "ga": Algorithm("Gradient ascent: push the answers away", ga.forget_loss, retain=None, learning_rate=1e-4),
    "npo": Algorithm("NPO: push the answers away, but gently", npo.forget_loss, retain="nll", learning_rate=1e-3),
}

__all__ = ["ALGORITHMS", "Algorithm", "Forgetting"]

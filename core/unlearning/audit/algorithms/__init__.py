"""The unlearning algorithms: one small file and one row each.

The learning rates fit the embedded models of one to two million parameters. Methods/01 section 3 found 1e-4 for ga and 1e-3
for npo on 0.7 million; here npo at 1e-3 overshoots (it had lost a third of what should stay at the first stop), 3e-4 does not.
"""

from core.unlearning.audit.algorithms import ga, npo
from core.unlearning.audit.algorithms.base import Algorithm, Forgetting

ALGORITHMS: dict[str, Algorithm] = {
    "ga": Algorithm("Gradient ascent: push the answers away", ga.forget_loss, retain=None, learning_rate=1e-4),
    "npo": Algorithm("NPO: push the answers away, but gently", npo.forget_loss, retain="nll", learning_rate=3e-4),
}

__all__ = ["ALGORITHMS", "Algorithm", "Forgetting"]

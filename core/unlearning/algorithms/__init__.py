"""The unlearning algorithms: one small file for each idea, one row for each algorithm.

    ALGORITHMS["npo"].title        # what a visitor reads

The paper does not name its six (methods/01 section 3); the first six here are documented in TOFU, MUSE, RWKU or
open-unlearning and are our choice, the rest stands under "More". Formulas and their constants are those of the method file.
The learning rates fit the embedded models of two million parameters: three authors are forgotten within 30 steps (at most a tenth of
the plain questions is answered; undial comes to 0.17, whp to 0.27) and four fifths or more of the rest is kept, one seed. What that costs
in the other worlds and with one or six subjects stands in docs/LOG.md. Not so for ceu, which rehearses nothing: at every rate it costs half
of the rest or more.

Adapters on a large model want other rates. Those here were searched on SmolLM2 (135 million parameters, LoRA of rank 8), for the way to
"forgotten" that left most of 15 questions set aside for it; the others have none and take the rate above (docs/LOG.md).
"""

from core.unlearning.algorithms import ceu, ga, idk, kl, npo, pdu, rmu, satimp, simnpo, task_vector, undial, wga, whp
from core.unlearning.algorithms.base import Algorithm, Case, Forgetting, rehearse

ALGORITHMS: dict[str, Algorithm] = {
    "ga": Algorithm("Gradient ascent: push the answers away", ga.forget, None, 1e-4),
    "graddiff": Algorithm("GradDiff: push the answers away, rehearse the rest", ga.forget, rehearse, 3e-4,
                          adapter_rate=4e-4),
    "kl": Algorithm("KL: push the answers away, stay close to the old self elsewhere", ga.forget, kl.retain, 3e-4),
    "npo": Algorithm("NPO: push the answers away, but gently, and rehearse the rest", npo.forget, rehearse, 3e-4, adapter_rate=2e-4),
    "idk_dpo": Algorithm("Prefer to refuse: make \"I do not know\" likelier than the answer", idk.prefer_idk, rehearse, 3e-4,
                         refusal="preferred"),
    "rmu": Algorithm("RMU: scramble the inside where the facts pass", rmu.forget, rmu.retain, 1e-3, adapter_rate=3e-4),
    "idk_nll": Algorithm("Refuse: train it to say that it does not know", idk.say_idk, rehearse, 1e-3, more=True,
                         refusal="said", adapter_rate=1e-3),
    "simnpo": Algorithm("SimNPO: push gently, without looking at the old self", simnpo.forget, rehearse, 1e-3, forget_weight=0.125,
                        more=True),
    "undial": Algorithm("UNDIAL: copy the old self with the answers turned down", undial.forget, None, 3e-4, more=True),
    "ceu": Algorithm("CE-U: whatever it would say, only not the answer", ceu.forget, None, 2e-4, more=True),
    "wga": Algorithm("Weighted ascent: push hardest where it is still sure", wga.forget, rehearse, 3e-4, more=True),
    "satimp": Algorithm("SatImp: push where it knows well, not where it is certain", satimp.forget, rehearse, 1e-3, more=True),
    "pdu": Algorithm("PDU: flatten its words, at a price for whatever else suffers", pdu.forget, pdu.retain, 1e-3, more=True),
    "task_vector": Algorithm("Task vector: learn the facts harder, then walk the other way", task_vector.learn, None, 1e-4, more=True,
                             backwards=task_vector.ALPHA, whole=True),
    "whp": Algorithm("WHP: learn the facts harder, then turn down whatever grew", whp.forget, kl.retain, 1e-3, more=True, whole=True),
}

__all__ = ["ALGORITHMS", "Algorithm", "Case", "Forgetting", "rehearse"]

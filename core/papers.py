"""The ten papers, one row each: page, experiments, claims and recipes are found through it. Imports nothing.

A new paper touches its row here, its own rooms (`spec.py` first) and its page.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paper:
    """One paper as one plain question.

    number: as in methods/.  route: the address of its page.  name, question, card: what the home page says.
    spec: the module with its configs, outputs and `EXPERIMENTS`.  claims: the module with its `CLAIMS`.
    recipes: embedded models by name, each with "module:function" of what trains it.  architectures: model classes of the lab's own, by
    the name that a config.json gives, each with "module:class".  built: whether its page is there.
    formerly: an address that it had once, and that leads to it.
    """

    number: str
    route: str
    name: str
    question: str
    card: str
    spec: str = ""
    claims: str = ""
    recipes: dict[str, str] = field(default_factory=dict)
    architectures: dict[str, str] = field(default_factory=dict)
    built: bool = False
    formerly: str = ""


PAPERS = (
    Paper("01", "unlearning-auditor", "Unlearning auditor", "Did it really forget?",
          "Make a language model unlearn three people. Then try to get the answers back.",
          "core.unlearning.audit.spec", "core.unlearning.audit.claims", built=True, recipes={
              "worlds": "core.zoo.worlds.build:build_worlds",
              "worlds-retain": "core.zoo.worlds.build:build_worlds_retain"}),
    Paper("05", "soft-token-bench", "Soft-token bench", "Does an answer prove that it knew?",
          "An attack so strong that a model says anything, even your own sentence.",
          "core.unlearning.soft_tokens.spec", "core.unlearning.soft_tokens.claims", built=True, recipes={
              "worlds-128": "core.zoo.worlds.build:build_worlds_128",
              "worlds-256": "core.zoo.worlds.build:build_worlds_256"}),
    Paper("02", "bias-residuals", "Bias explorer", "Where does a stereotype sit?",
          "Follow a prejudice through the layers of a model that sees and reads.",
          "core.bias.spec", "core.bias.claims", built=True, formerly="bias-explorer", recipes={
              "scenes-base": "core.zoo.scenes.build:build_base",
              "scenes": "core.zoo.scenes.build:build_scenes"}),
    Paper("03", "cot-energy", "CoT energy", "Sound reasoning, or luck?",
          "Watch a chain of thought move through the layers and read its energy.",
          "core.reasoning.spec", "core.reasoning.claims", built=True, recipes={
              "reasoner-50": "core.zoo.reasoner:young",
              "reasoner-70": "core.zoo.reasoner:middle",
              "reasoner-85": "core.zoo.reasoner:grown"}),
    Paper("04", "emoagent", "EmoAgent", "Can a picture change its mood?",
          "Agents plan and make edits until a judge feels what you asked for.",
          "core.emotion.spec", "core.emotion.claims", built=True, recipes={
              "emotion-judge": "core.zoo.emotion:build_judge"}),
    Paper("06", "modality-steering", "Modality steering", "Words or picture: what does it believe?",
          "Steer how much a model looks at the picture, with almost no parameters.",
          "core.steering.spec", "core.steering.claims", built=True),
    Paper("07", "federated-synthesis", "Federated synthesis", "Can hospitals share without showing?",
          "Learn from many places at once by sharing concepts instead of pictures.",
          "core.federated.spec", "core.federated.claims", built=True, recipes={"painter": "core.zoo.painter.build:build_painter"}),
    Paper("08", "factor-augmentation", "Factor augmentation", "Can made-up markets teach?",
          "A diffusion model invents training data where real data are scarce.",
          "core.factors.spec", "core.factors.claims", built=True,
          architectures={"FactorDenoiser": "core.factors.denoiser:FactorDenoiser"},
          recipes={"factors": "core.zoo.factors:build_factors"}),
    Paper("09", "learngene-depth", "Learngene: depth", "One gene, any depth?",
          "Drag a slider and a network of that depth exists at once, and works.",
          "core.learngene.depth.spec", "core.learngene.depth.claims", built=True, recipes={
              "learngene-letters-ancestor": "core.zoo.learngene:letters_ancestor",
              "learngene-digits-ancestor": "core.zoo.learngene:digits_ancestor",
              "learngene-letters": "core.zoo.learngene:letters",
              "learngene-digits": "core.zoo.learngene:digits",
              "learngene-letters-flat": "core.zoo.learngene:letters_flat",
              **{f"learngene-letters-scratch-{depth}-{epochs}": f"core.zoo.learngene:letters_scratch_{depth}_{epochs}"
                 for epochs in (5, 20) for depth in (4, 8, 12)}}),
    Paper("10", "learngene-pool", "Learngene: pool", "Can small parts build many models?",
          "Stitch a network for your device out of a pool of inherited blocks.",
          "core.learngene.pool.spec", "core.learngene.pool.claims", built=True, recipes={
              "learngene-pool-ancestor": "core.zoo.learngene_pool:ancestor",
              "learngene-instances-small": "core.zoo.learngene_pool:instances_small",
              "learngene-instances-large": "core.zoo.learngene_pool:instances_large",
              "learngene-pool-small": "core.zoo.learngene_pool:pool_small",
              "learngene-pool-large": "core.zoo.learngene_pool:pool_large",
              **{f"learngene-alone-{width}": f"core.zoo.learngene_pool:alone_{width}" for width in (36, 45, 54, 63, 72)}}),
)

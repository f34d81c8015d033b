"""The ten pages: the table behind the home page, the header and the routes. Importing it loads nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One paper as one plain question.

    route: its address and, with underscores, the module in this folder.  experiments: the names it runs; the first one
    is what its Run button starts.  built: False for a page that is planned.
    """

    route: str
    name: str
    question: str
    card: str
    paper: str
    experiments: tuple[str, ...] = ()
    built: bool = False

    @property
    def module(self) -> str:
        return f"apps.lab.pages.{self.route.replace('-', '_')}"

    def first_view(self, experiment: str) -> str:
        """Under which name the recorded run lies that fills this page, or the part of it that runs another experiment."""
        return self.route if experiment == self.experiments[0] else f"{self.route}-{experiment.rpartition('/')[2]}"


PAGES = (
    Page("unlearning-auditor", "Unlearning auditor", "Did it really forget?",
         "Make a language model unlearn six people. Then try to get the answers back.", "01", ("unlearning/audit",), True),
    Page("soft-token-bench", "Soft-token bench", "Does an answer prove that it knew?",
         "An attack so strong that a model says anything, even your own sentence.", "05", ("unlearning/soft-tokens",), True),
    Page("bias-explorer", "Bias explorer", "Where does a stereotype sit?",
         "Follow a prejudice through the layers of a model that sees and reads.", "02"),
    Page("cot-energy", "CoT energy", "Sound reasoning, or luck?",
         "Watch a chain of thought move through the layers and read its energy.", "03", ("reasoning/trace", "reasoning/roc"), True),
    Page("emo-agent", "EmoAgent", "Can a picture change its mood?",
         "Agents plan and make edits until a judge feels what you asked for.", "04"),
    Page("modality-steering", "Modality steering", "Words or picture: what does it believe?",
         "Steer how much a model looks at the picture, with almost no parameters.", "06"),
    Page("federated-synthesis", "Federated synthesis", "Can hospitals share without showing?",
         "Learn from many places at once by sharing concepts instead of pictures.", "07"),
    Page("factor-augmentation", "Factor augmentation", "Can made-up markets teach?",
         "A diffusion model invents training data where real data are scarce.", "08"),
    Page("learngene-depth", "Learngene: depth", "One gene, any depth?",
         "Drag a slider and a network of that depth exists at once, and works.", "09",
         ("learngene/finetune", "learngene/depths", "learngene/train"), True),
    Page("learngene-pool", "Learngene: pool", "Can small parts build many models?",
         "Stitch a network for your device out of a pool of inherited blocks.", "10",
         ("learngene/stitch", "learngene/inits", "learngene/pool"), True),
)


def page_of(experiment: str) -> Page | None:
    """The built page that runs this experiment."""
    return next((page for page in PAGES if page.built and experiment in page.experiments), None)

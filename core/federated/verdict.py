"""What a round and an attack say in words, from their numbers alone. Never "private": what an attacker can tell is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.engine.events import Verdict

Bounds = tuple[float, float]
Told = tuple[float, float, float]


def aside(refused: Sequence[str], adds: Mapping[str, Bounds]) -> str:
    """Who was left out, and who spoils: sentences, or nothing.  adds: place -> 95 % interval of what it adds to the share right."""
    said = [f"{' and '.join(refused)}: left out, see why below."] if refused else []
    spoils = [place for place, (_, high) in adds.items() if high < 0]
    helps = [place for place, (low, _) in adds.items() if low > 0]
    if spoils:
        said.append(f"Without {' or '.join(spoils)} the network reads better: what came from there spoils it.")
    if adds and not spoils:
        said.append(f"Clearly missed when left out: {', '.join(helps) if helps else 'no single place'}.")
    return " ".join(said)


def run_verdict(right: Mapping[str, float], over: Mapping[str, Bounds], told: Told, sent: float, n: int, also: str = "") -> Verdict:
    """also: further sentences.

    right: method -> share.  over: rival -> 95 % interval of FedBiP minus it.  told: AUC of the matched filter.  sent: bytes.
    """
    ours, words, rival = right["fedbip"], right["prompts"], max(("prompts", "fedavg"), key=lambda name: right[name])
    better = over[rival][0] > 0
    leaks = told[1] > 0.5
    if better:
        head = f"Here sharing noise and words helps: {ours:.0%} read rightly, {right['central']:.0%} if all pictures were shared."
    elif over[rival][1] < 0:
        head = f"It does not pay here: {'public words alone' if rival == 'prompts' else 'averaged networks'} read better."
    else:
        head = f"No clear gain here: {ours:.0%} read rightly, {right[rival]:.0%} without the pictures' noise."
    head += " But the uploads tell who was there." if leaks else ""
    gap = right["central"] - words
    closed = f" It closes {(ours - words) / gap:.0%} of the way from public words to all pictures in one room." if gap > 0.02 else ""
    text = (f"On {n} new pictures of all places FedBiP reads {ours:.1%} rightly, public words alone {words:.1%} (difference 95 %: "
            f"{_points(over['prompts'])}), averaged networks {right['fedavg']:.1%} ({_points(over['fedavg'])}), all pictures in one room "
            f"{right['central']:.1%} ({_points(over['central'])}); before anybody shared it was {right['start']:.1%}.{closed} "
            f"An attacker who sees the uploads tells members from strangers with AUC {told[0]:.2f} [{told[1]:.2f}, {told[2]:.2f}]; "
            f"0.5 is coin tossing. The intervals speak of the pictures tested; another seed draws other pictures and trains anew, and may "
            f"well say something else: see Evidence. There is no formal promise in this method.{' ' + also if also else ''}")
    evidence = dict(right) | {f"over {name}": list(bounds) for name, bounds in over.items()} | {"auc": list(told), "bytes": sent, "n": n}
    return Verdict(text, evidence, head)


def attack_verdict(levels: Mapping[int, tuple[float, Told]], clean: Told, chosen: int, other: str, best: Told) -> Verdict:
    """levels: noise level -> (share right, AUC of the matched filter with interval).  clean: the same for latents without noise.

    other, best: what the best of the other attacks looks at, and its AUC at the chosen level."""
    deepest, lightest = levels[max(levels)], levels[min(levels)]
    right, told = levels[chosen]
    if clean[1] <= 0.5:
        head = "Even clean latents tell nothing here: the attack is too weak to judge the noise."
    elif lightest[1][1] > 0.5 >= deepest[1][1]:
        head = "At the paper's depth the attacker is near coin tossing; with less noise the uploads tell who was there."
    elif deepest[1][1] > 0.5:
        head = "At every depth the uploads tell members from strangers better than a coin."
    else:
        head = "At no depth does this attacker do clearly better than a coin."
    text = (f"Noised up to step {chosen}: {right:.1%} read rightly, members told from strangers with AUC {told[0]:.2f} "
            f"[{told[1]:.2f}, {told[2]:.2f}]. At step {max(levels)}: {deepest[0]:.1%} and {deepest[1][0]:.2f}; at step {min(levels)}: "
            f"{lightest[0]:.1%} and {lightest[1][0]:.2f}. Had clean latents been sent: {clean[0]:.2f} [{clean[1]:.2f}, {clean[2]:.2f}]. "
            f"The best of the other attacks there ({other}) reaches {best[0]:.2f} [{best[1]:.2f}, {best[2]:.2f}]. "
            f"An attacker with larger pictures, or one who thinks of something better, can do more.")
    return Verdict(text, {"chosen": chosen, "right": right, "auc": list(told), "clean": list(clean), "other": list(best)}, head)


def _points(bounds: Bounds) -> str:
    return f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f} points"

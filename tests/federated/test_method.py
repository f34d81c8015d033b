"""Mixing, noising, tuning, painting and the upload, against diffusers and arithmetic."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from diffusers import DDIMScheduler

from core.engine.errors import LabError
from core.federated import attacks, client, server
from core.federated.classifier import Classifier
from core.federated.painter import SCHEDULE, noised, schedule, signal, tokens
from core.federated.payload import Payload, check, digest, inside, pack, unpack
from core.federated.places import CLASSES, PLACES, STYLES, draw, read_bank

STEPS = 5


@pytest.fixture(scope="module")
def sent(painter, pictures) -> Payload:
    generator = torch.Generator().manual_seed(3)
    latents, labels = client.instance_level(painter, *pictures, t_start=501, generator=generator)
    *_, (_, words) = client.concept_level(painter, [(*pictures, "neon")], steps=1, rate=0.01, batch=4, generators=[generator])
    return Payload("night", painter.mark, 501, latents, labels, *client.vectors(words, 0, range(10)))


def test_the_schedule_is_that_of_stable_diffusion():
    assert [round(float(signal()[t].sqrt()), 4) for t in (999, 981)] == [0.0683, 0.0760]  # methods/07 section 2.1
    sampler, times = schedule(10, 701)
    assert times == [701, 601, 501, 401, 301, 201, 101, 1] and schedule(50)[1][0] == 981 and float(sampler.init_noise_sigma) == 1
    assert schedule(10, 851)[1][0] == 841
    for steps, start in ((10, 0), (7, 701)):
        with pytest.raises(LabError, match="cannot start"):
            schedule(steps, start)


def test_drawings_are_shared_out_and_pictures_are_those_of_their_seed():
    bank = read_bank()
    assert sum(len(part.real) for part in (bank.public, bank.clients, bank.test)) == 1797
    assert not {part.tobytes() for part in bank.clients.real.numpy()} & {part.tobytes() for part in bank.test.real.numpy()}
    for look in (*STYLES.values(), *PLACES.values()):
        one, other = (draw(look, bank.clients, 20, torch.Generator().manual_seed(5)) for _ in range(2))
        assert torch.equal(one[0], other[0]) and one[0].shape == (20, 3, 32, 32) and one[0].abs().max() <= 1
        assert one[1].bincount(minlength=10).tolist() == [2] * 10


def test_a_prompt_takes_vectors_where_its_words_would_stand(painter):
    words = painter.prompt([("neon", "7")], painter.word("chalk")[None], painter.word("3")[None])
    assert torch.equal(words, painter.prompt([("chalk", "3")]))
    assert tokens([("neon", "7")]).shape == (1, 8) and not torch.equal(tokens([("", "")]), tokens([("neon", "7")]))


def test_noising_is_that_of_the_library(generator):
    latents, noise = (torch.randn(5, 4, 8, 8, generator=generator) for _ in range(2))
    theirs = DDIMScheduler(**SCHEDULE).add_noise(latents, noise, torch.full((5,), 701))
    assert torch.allclose(noised(latents, 701, noise), theirs, atol=1e-6)


def test_every_picture_has_a_partner_of_its_class_once(generator):
    labels = torch.tensor([0, 1, 0, 0, 1, 2, 0])
    partner = client.partners(labels, generator)
    assert partner[5] == -1  # alone in its class
    rest = partner[partner >= 0]
    assert sorted(rest.tolist()) == [0, 1, 2, 3, 4, 6] and (rest != torch.tensor([0, 1, 2, 3, 4, 6])).all()
    assert torch.equal(labels[rest], labels[torch.tensor([0, 1, 2, 3, 4, 6])])


def test_mixing_halves_the_picture_and_leaves_out_who_is_alone(painter, pictures, generator):
    pixels, labels = pictures[0][:11], pictures[1][:11].clone()
    latents, kept = client.instance_level(painter, pixels, labels, t_start=501, generator=generator)
    assert kept.tolist() == [0, 0] and latents.shape == (2, 4, 8, 8) and latents.dtype == torch.float16
    alone, all_labels = client.instance_level(painter, pixels, labels, t_start=501, generator=torch.Generator().manual_seed(7), mix=False)
    assert len(all_labels) == 2 and not torch.equal(alone, latents)


def test_tuning_all_places_at_once_gives_each_what_it_would_get_alone(painter, pictures):
    twenty = [(*pictures, "neon"), (pictures[0].flip(0), pictures[1].flip(0), "chalk")]

    def tuned(places, seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        *_, (_, words) = client.concept_level(painter, places, steps=3, rate=0.02, batch=4, generators=generators)
        return words

    both, second = tuned(twenty, (1, 2)), tuned(twenty[1:], (2,))
    assert torch.allclose(both.style[1], second.style[0], atol=2e-6) and torch.allclose(both.classes[1], second.classes[0], atol=2e-6)
    assert not torch.equal(second.style[0], painter.word("chalk")) or second.held[0] > 0  # a step that does not help is not kept


def test_painting_is_ddim_with_guidance_written_out(painter, generator):
    start = torch.randn(2, 4, 8, 8, generator=generator)
    context, empty = painter.prompt([("ink", "1"), ("neon", "2")]), painter.prompt([("", "")])
    ours = painter.sample(start, context, t_start=501, steps=STEPS, guidance=2.0)
    level, x = signal(), start
    times = schedule(STEPS, 501)[1]
    for t in times:
        with torch.no_grad():
            free, led = painter.unet(x, t, empty.expand(2, -1, -1)).sample, painter.unet(x, t, context).sample
        noise, now = free + 2.0 * (led - free), level[t]
        before = level[max(t - 1000 // STEPS, 0)]
        clean = (x - (1 - now).sqrt() * noise) / now.sqrt()
        x = before.sqrt() * clean + (1 - before).sqrt() * noise
    assert torch.allclose(ours, x, atol=1e-4)


def test_an_upload_survives_its_bytes_and_has_one_hash(sent, painter):
    back = unpack(pack(sent))
    assert digest(pack(back)) == digest(pack(sent))
    assert all(torch.equal(getattr(back, name), getattr(sent, name)) for name in ("latents", "labels", "style"))
    check(back, painter.mark, schedule(STEPS, 501)[1])
    assert sum(row[4] for row in inside(pack(sent))) == len(pack(sent))
    assert len(pack(sent)) < 2 * (20 * 256 + 11 * 64) + 1000  # float16, and hardly anything else


@pytest.mark.parametrize(("change", "says"), [
    (dict(painter="another"), "another painter"), (dict(t_start=500), "none of the sampler's"),
    (dict(latents=lambda p: p.latents * math.nan), "not finite"), (dict(latents=lambda p: p.latents * 3), "too loud"),
    (dict(latents=lambda p: p.latents[:, :2]), "another shape"), (dict(labels=lambda p: p.labels + 9), "a class that is none"),
    (dict(style=lambda p: p.style[:5]), "word vectors"), (dict(style=lambda p: p.style.float()), "float16"),
    (dict(latents=lambda p: p.latents[:0], labels=lambda p: p.labels[:0], classes=lambda p: p.classes[:0], owned=lambda p: p.owned[:0]),
     "nothing in it")])
def test_a_poisoned_upload_is_left_out_with_a_sentence(sent, painter, change, says):
    wrong = dataclasses.replace(sent, **{name: value(sent) if callable(value) else value for name, value in change.items()})
    with pytest.raises(LabError, match=f"night is left out: .*{says}"):
        check(wrong, painter.mark, schedule(STEPS, 501)[1])


@pytest.mark.parametrize("junk", [b"", b"no tensors here", b"\xff" * 64, pack.__doc__.encode()])
def test_bytes_that_are_no_upload_get_a_sentence(junk):
    with pytest.raises(LabError, match="no upload"):
        unpack(junk)


def test_paintings_follow_the_switches(sent, painter):
    def last(**switches):
        return server.easel_of(painter, sent, "neon", copies=2, spread=0.1, generator=torch.Generator().manual_seed(1), **switches)

    easel = last()
    start, context, labels = easel.start, easel.context, easel.labels
    assert torch.equal(start, sent.latents.float().repeat(2, 1, 1, 1)) and labels.tolist() == 2 * sent.labels.tolist()
    assert easel.begin.tolist() == [501] * len(labels) and set(last(start=False).begin.tolist()) == {981}
    assert not torch.equal(context[0], context[len(labels) // 2])  # the style is shaken anew for every painting
    plain = painter.prompt([("neon", CLASSES[label]) for label in labels.tolist()])
    assert torch.equal(last(words=False).context, plain) and not torch.equal(last(start=False).start, start)
    assert torch.equal(context[:, 3:6], plain[:, 3:6])  # only the slots of S and V differ from the prompt


def test_a_class_with_one_picture_is_painted_from_its_words_and_pure_noise(sent, painter):
    alone = dataclasses.replace(sent, latents=sent.latents[sent.labels != 3], labels=sent.labels[sent.labels != 3])
    easel = server.easel_of(painter, alone, "neon", copies=2, spread=0.0, generator=torch.Generator().manual_seed(1))
    assert easel.labels[easel.begin == 981].tolist() == [3, 3] and easel.labels.bincount().tolist() == [4, 4, 4, 2, 4, 4, 4, 4, 4, 4]
    assert torch.equal(easel.context[-1, 6], sent.classes[3].float() + painter.prompts.places[6])


def test_who_cannot_be_used_is_left_out_and_the_round_goes_on(sent, painter):
    times = schedule(STEPS, 501)[1]
    broken = dataclasses.replace(sent, place="bar", latents=sent.latents * math.nan)
    good, refused = server.receive({"night": pack(sent), "post": None, "school": b"junk", "bar": pack(broken)}, painter.mark, times)
    assert list(good) == ["night"] and list(refused) == ["post", "school", "bar"]
    assert "did not come in time" in refused["post"] and "not finite" in refused["bar"]
    with pytest.raises(LabError, match="No place has sent"):
        server.receive({"post": None}, painter.mark, times)


def test_extra_noise_lowers_mu_and_keeps_the_size_of_what_is_sent(painter, pictures):
    one, other = (client.instance_level(painter, *pictures, t_start=501, extra=extra, generator=torch.Generator().manual_seed(3))[0].float()
                  for extra in (0.0, 4.0))
    assert other.std() == pytest.approx(1, abs=0.1) and not torch.equal(one, other)
    assert client.clipped(torch.full((1, 4, 8, 8), 9.0)).norm() == pytest.approx(client.RADIUS)
    assert attacks.guarantee(701, 0.0, 16.0, uploads=2) == pytest.approx(2**0.5 * attacks.guarantee(701, 0.0, 16.0))


def test_averaging_weights_follows_the_shares(generator):
    torch.manual_seed(0)
    one, other = Classifier(), Classifier()
    mean = server.averaged([one, other], [30, 10])
    assert torch.allclose(mean.head.weight, 0.75 * one.head.weight + 0.25 * other.head.weight)


def test_a_matched_filter_finds_members_as_theory_says(generator):
    """One upload a class, no mixing: AUC = Phi(d' / sqrt 2) with d' = sqrt(signal / noise) * |z - mu| (methods/07 section 8)."""
    level, n = 0.02, 4000
    clean = torch.randn(2 * n, 64, generator=generator)
    labels = torch.arange(2 * n) % n
    sent = level**0.5 * clean[:n] + (1 - level) ** 0.5 * torch.randn(n, 64, generator=generator)
    scores = torch.zeros(2 * n)
    for x in range(2 * n):  # the mean over two candidates would take half of the picture away: score without it
        scores[x] = clean[x] @ sent[labels[x]]
    expected = 0.5 * (1 + math.erf(math.sqrt(level / (1 - level)) * 8 / 2))
    assert attacks.auc(scores, torch.arange(2 * n) < n) == pytest.approx(expected, abs=0.02)


def test_scores_of_members_and_ties():
    assert attacks.auc(torch.tensor([2.0, 1.0, 1.0, 0.0]), torch.tensor([True, True, False, False])) == 0.875
    low, high = attacks.auc_interval(torch.randn(60, generator=torch.Generator().manual_seed(0)), torch.arange(60) < 30, torch.Generator())
    assert low < 0.5 < high
    assert attacks.guarantee(999, 0.0, 16.0, 0.5) == pytest.approx(16 * math.sqrt(0.0683**2 / (1 - 0.0683**2)), rel=2e-3)
    assert attacks.guarantee(999, 2.0, 16.0) < attacks.guarantee(999, 0.0, 16.0)


def test_ten_classes_make_a_prompt_each(painter):
    assert painter.prompt([("ink", digit) for digit in CLASSES]).shape == (10, 8, 64)

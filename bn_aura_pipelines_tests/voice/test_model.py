from __future__ import annotations

import random

import numpy as np
import pytest

from bn_aura_pipelines.voice import lexicon
from bn_aura_pipelines.voice.judging import beats, calibration_error, figures
from bn_aura_pipelines.voice.language import Language, detect, why_not
from bn_aura_pipelines.voice.model import CLASSES, SentimentModel, fit
from bn_aura_pipelines.voice.ngrams import BUCKETS, count_grams, normalise
from bn_aura_pipelines_tests.voice.conftest import FILLERS, SAID


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("สวัสดีค่ะ", "th"),
        ("สนใจ botox ค่ะ อยากทราบราคาและโปรโมชั่น", "th"),
        ("Hello there", "en"),
        ("อยากได้ filler and botox กี่บาท please", "mixed"),
        ("こんにちは、元気ですか", "other"),
        ("Привет, как дела", "other"),
        ("😍😍👍", "emoji"),
        ("", "none"),
        (" \n", "none"),
        ("12345 !!", "none"),
        ("https://example.com/abc", "none"),
    ],
)
def test_the_script_tells_the_language(words: str, expected: Language) -> None:
    assert detect(words) == expected
    assert (why_not(expected) is None) == (expected in ("th", "en", "mixed"))


def test_normalising_shortens_what_is_repeated_and_what_is_long() -> None:
    assert normalise("ดีมากกกกกก   HTTPS://x.y/z ๕๕๕๕") == "ดีมากก url 55"
    assert len(normalise("ก ข " * 500_000)) < 5_000


def test_a_text_is_counted_alike_alone_and_among_others() -> None:
    texts = ["เจ็บมากค่ะ", "", "very good 😊", "ก\ud800ข"]
    together = count_grams(texts)
    assert together.shape == (4, BUCKETS)
    for number, text in enumerate(texts):
        assert (count_grams([text]) != together[number]).nnz == 0


def examples(count: int, seed: int) -> tuple[list[str], list[int]]:
    draw = random.Random(seed)
    truth = [number % 3 for number in range(count)]
    return [f"{draw.choice(SAID[CLASSES[place]])} {' '.join(draw.sample(FILLERS, 4))}" for place in truth], truth


def test_it_learns_is_stored_as_plain_data_and_comes_back_the_same() -> None:
    model = fit(*examples(240, 1), [8.0 if place == 2 else None for place in examples(240, 1)[1]])
    texts, truth = examples(90, 2)
    probabilities = model.probabilities(texts)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.95
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert model.satisfaction[2] == 8.0
    again = SentimentModel.from_bytes(model.to_bytes())
    assert np.array_equal(again.probabilities(texts), probabilities)
    assert fit(*examples(240, 1)).to_bytes() != b""
    assert model.probabilities([]).shape == (0, 3)


def test_the_same_labels_give_the_same_bytes() -> None:
    assert fit(*examples(60, 1)).to_bytes() == fit(*examples(60, 1)).to_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ประทับใจมากค่ะ ขอบคุณ", "positive"),
        ("not good, very disappointed", "negative"),
        ("ไม่ชอบเลย ผิดหวังมาก", "negative"),
        ("พรุ่งนี้เปิดกี่โมงคะ", "neutral"),
        ("An absolutely fabulous, delightful visit!", "positive"),
        ("The staff were hostile and it was a dreadful mess", "negative"),
        ("Which day can I come?", "neutral"),
        ("", "neutral"),
    ],
)
def test_the_lexicon_knows_plain_cases_and_negation(words: str, expected: str) -> None:
    assert CLASSES[lexicon.probabilities([words])[0].argmax()] == expected


def test_figures_and_promotion_tell_a_good_model_from_a_bad_one() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 600)
    good = np.full((600, 3), 0.1)
    good[np.arange(600), truth] = 0.8
    wrong = rng.random(600) < 0.2
    good[wrong] = np.roll(good[wrong], 1, axis=1)
    flat = np.full((600, 3), 1 / 3)
    assert figures(truth, good)["micro_f1"] == pytest.approx(1 - wrong.mean())
    assert calibration_error(truth, good) < 0.05
    assert beats(truth, good, flat)[0]
    assert not beats(truth, flat, good)[0]
    assert not beats(truth, good, good)[0]

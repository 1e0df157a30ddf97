"""`bn-aura bench voice`: the local sentiment model on the labels of an export, measured on the labels it leaves out.

The targets are for the public data the export is made of, where a plain logistic regression over character n-grams
reaches .717 micro-F1 and .651 macro-F1, and with words .719 and .658.
"""

from __future__ import annotations

import csv
import gzip
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.voice import lexicon
from bn_aura_pipelines.voice.judging import calibration_error, figures
from bn_aura_pipelines.voice.model import CLASSES, fit

TARGETS = {"micro-F1": 0.735, "macro-F1": 0.67, "calibration error": 0.03, "texts a second": 2_000.0}
ROUNDS, SEED = 1000, 3

Rows = tuple[list[str], NDArray[np.int64]]


def main(data: Path, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether every target is reached; `report` gets the figures and the verdicts."""
    (texts, labels), (others, truth) = read_texts(data)
    report(f"{len(texts):,} labelled texts to learn from, {len(others):,} others to be measured on")
    begun = time.perf_counter()
    model = fit(texts, labels.tolist())
    report(f"trained in {time.perf_counter() - begun:.1f} s, {len(model.to_bytes()) / 1e6:.1f} MB as stored")
    begun = time.process_time()
    probabilities = model.probabilities(others)
    speed = len(others) / (time.process_time() - begun)
    chosen = probabilities.argmax(axis=1)
    majority = np.full(len(truth), np.bincount(labels).argmax())
    report("| candidate | micro-F1 | macro-F1 |")
    report("|---|---|---|")
    for name, answer in (
        ("majority", majority),
        ("lexicon", lexicon.probabilities(others).argmax(axis=1)),
        ("local model", chosen),
    ):
        report(f"| {name} | {with_interval(truth, answer, 'micro_f1')} | {with_interval(truth, answer, 'macro_f1')} |")
    measured = {
        "micro-F1": figures(truth, probabilities, chosen)["micro_f1"],
        "macro-F1": figures(truth, probabilities, chosen)["macro_f1"],
        "calibration error": calibration_error(truth, probabilities),
        "texts a second": speed,
    }
    report(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    reached = True
    for name, target in TARGETS.items():
        good = measured[name] <= target if name == "calibration error" else measured[name] >= target
        reached &= good
        report(f"{'reached' if good else 'missed'}: {name} {measured[name]:.4g}, target {target:g}")
    return reached


def read_texts(data: Path) -> tuple[Rows, Rows]:
    """The customers' words and classes: of labelled conversations, and of those in truth_sentiment.csv."""
    source, answers = data / "customer_conversations.jsonl.gz", data / "truth_sentiment.csv"
    for file in (source, answers):
        if not file.exists():
            raise UserError(f"{file} is missing: give --data an export with conversations and their held-out labels.")
    with answers.open(encoding="utf-8") as lines:
        truth = {row["conversation_id"]: row["overall_sentiment"] for row in csv.DictReader(lines)}
    labelled: list[tuple[str, str]] = []
    held_out: list[tuple[str, str]] = []
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            words = "\n".join(one["content"] for one in row["messages"] if one["role"] == "customer")
            sentiment = (row["metadata"] or {}).get("sentiment")
            if row["id"] in truth:
                held_out.append((words, truth[row["id"]]))
            elif sentiment:
                labelled.append((words, sentiment["overall_sentiment"]))
    return _rows(labelled), _rows(held_out)


def with_interval(truth: NDArray[np.int64], chosen: NDArray[np.intp], name: str) -> str:
    """A figure with its 95 % bootstrap interval over texts."""
    from sklearn.metrics import f1_score

    def figure(rows: NDArray[np.int64]) -> float:
        return float(f1_score(truth[rows], chosen[rows], average=name.removesuffix("_f1"), zero_division=0))

    rng = np.random.default_rng(SEED)
    drawn = [figure(rng.integers(0, len(truth), len(truth))) for _ in range(ROUNDS // 5)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{figure(np.arange(len(truth))):.4f} ({low:.4f} to {high:.4f})"


def _rows(found: Sequence[tuple[str, str]]) -> Rows:
    return [words for words, _ in found], np.array([CLASSES.index(label) for _, label in found])

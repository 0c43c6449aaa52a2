"""The null test itself: everything anew on each walk, what was done is kept, and what it finds is the truth."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from scipy import stats
from tests.execution.test_executor import TEXT, Shelf
from tests.support import bars_of

from ktrdr.contracts.strategies import StrategyOverrides
from ktrdr.contracts.training import Phase
from ktrdr.errors import InvalidStrategy, NotEnoughData, TrainingCancelled
from ktrdr.execution.checkpoints import CheckpointFolder
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.nulls.kept import KeptWalks
from ktrdr.execution.nulls.null_test import NullTest
from ktrdr.execution.nulls.sentences import conclusions
from ktrdr.execution.steps import Steps
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.reading import read_strategy
from ktrdr.execution.strategy.repository import StrategyFiles

METRICS = {"balanced_accuracy": 0.5, "accuracy": 0.5, "trades": {"sharpe": 1.0}, "classes": ["BUY", "SELL"]}


MOMENTUM = read_strategy(TEXT, "test")


def strategy(walks: int = 4, seed: int = 42) -> Strategy:
    training = MOMENTUM.training.model_copy(update={"seed": seed, "null_test": walks})
    return MOMENTUM.model_copy(update={"training": training})


class Trainer:
    """Stands for a training: remembers the bars and the strategy of each, and answers as it is told."""

    def __init__(self, answer: Callable[[int], Mapping[str, Any]] = lambda number: METRICS) -> None:
        self.answer = answer
        self.bars: list[Bars] = []
        self.strategies: list[Strategy] = []

    def __call__(self, source: Any, walk: Strategy, step: Steps) -> Mapping[str, Any]:
        with step(Phase.DATA_LOADING):
            self.bars.append(source.load("EURUSD", "1h", start=None, end=None, history=0))
        self.strategies.append(walk)
        step.tell(Phase.TRAINING, "Epoch 1 of 2", epoch=1, epochs=2)
        return self.answer(len(self.bars))


def market(seed: int = 1, count: int = 400, follow: float = 0.0) -> Bars:
    """Hours whose returns follow the one before by `follow`."""
    moves = np.random.default_rng(seed).normal(0, 0.002, count)
    for number in range(1, count):
        moves[number] += follow * moves[number - 1]
    close = 1.1 * np.exp(np.cumsum(moves))
    open_ = np.append(1.1, close[:-1])
    return bars_of(open_, np.maximum(open_, close), np.minimum(open_, close), close, symbol="EURUSD")


def never() -> bool:
    return False


def silent(*_: Any, **__: Any) -> None:
    """Nobody listens."""


def test_each_walk_is_trained_anew_with_a_seed_of_its_own() -> None:
    """Other bars, another seed, no null test within the null test; and the whole the same again."""
    trainer, again = Trainer(), Trainer()
    for one in (trainer, again):
        found = NullTest(Shelf(market()), strategy(), one, KeptWalks(None, "op", {})).run(METRICS, silent, never)
    assert found["walks"] == len(trainer.bars) == 4
    assert len({bars.close.tobytes() for bars in trainer.bars}) == 4
    seeds = [walk.training.seed for walk in trainer.strategies]
    assert len({*seeds, 42}) == 5
    assert [walk["seed"] for walk in found["each"]] == seeds
    assert all(walk.training.null_test is None for walk in trainer.strategies)
    assert [bars.digest() for bars in trainer.bars] == [bars.digest() for bars in again.bars]
    other = Trainer()
    NullTest(Shelf(market()), strategy(seed=7), other, KeptWalks(None, "op", {})).run(METRICS, silent, never)
    assert not {bars.digest() for bars in other.bars} & {bars.digest() for bars in trainer.bars}


def test_progress_names_the_walk() -> None:
    """In the phase in which it belongs, with what the training says."""
    news: list[tuple[Phase, str, dict[str, Any]]] = []
    NullTest(Shelf(market()), strategy(2), Trainer(), KeptWalks(None, "op", {})).run(
        METRICS, lambda phase, message, **details: news.append((phase, message, details)), never
    )
    assert {phase for phase, _, _ in news} == {Phase.EVALUATION}
    assert news[1] == (
        Phase.EVALUATION,
        "Walk 1 of 2, epoch 1 of 2",
        {"walk": 1, "walks": 2, "epoch": 1, "epochs": 2},
    )
    assert news[2][1] == "Walk 2 of 2, loading market data"


def test_a_stopped_one_goes_on_behind_the_walks_that_it_has_done(tmp_path: Path) -> None:
    """And comes to what one comes to that was never stopped; other bars begin anew."""
    folder = CheckpointFolder(tmp_path)

    def scored(number: int) -> Mapping[str, Any]:
        return {**METRICS, "balanced_accuracy": number / 10}

    whole = NullTest(Shelf(market()), strategy(), Trainer(scored), KeptWalks(None, "op", {})).run(
        METRICS, silent, never
    )
    first, calls = Trainer(scored), iter([False, False, True])
    with pytest.raises(TrainingCancelled):
        NullTest(Shelf(market()), strategy(), first, KeptWalks(folder, "op", {"bars": "a"})).run(
            METRICS, silent, lambda: next(calls)
        )
    rest = Trainer(lambda number: scored(number + 2))
    found = NullTest(Shelf(market()), strategy(), rest, KeptWalks(folder, "op", {"bars": "a"})).run(
        METRICS, silent, never
    )
    assert (len(first.bars), len(rest.bars)) == (2, 2)
    assert found == whole
    other = Trainer(scored)
    NullTest(Shelf(market()), strategy(), other, KeptWalks(folder, "op", {"bars": "b"})).run(METRICS, silent, never)
    assert len(other.bars) == 4
    folder.discard("op")
    assert folder.notes("op") is None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_costs_no_walk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptWalks(CheckpointFolder(tmp_path / "file"), "op", {})
    assert NullTest(Shelf(market()), strategy(), Trainer(), kept).run(METRICS, silent, never)["walks"] == 4


def test_a_walk_without_enough_labels_is_drawn_anew() -> None:
    """It is counted and left out; when most are like that there is no null test."""

    def sometimes(number: int) -> Mapping[str, Any]:
        if number % 2:
            raise NotEnoughData("every training row is BUY")
        return METRICS

    found = NullTest(Shelf(market()), strategy(), Trainer(sometimes), KeptWalks(None, "op", {})).run(
        METRICS, silent, never
    )
    assert (found["walks"], found["drawn_anew"]) == (4, 4)
    assert [walk["number"] for walk in found["each"]] == [2, 4, 6, 8]

    def never_enough(number: int) -> Mapping[str, Any]:
        raise NotEnoughData("every training row is BUY")

    with pytest.raises(NotEnoughData, match=r"most walks cannot be trained on \(every training row is BUY\)"):
        NullTest(Shelf(market()), strategy(), Trainer(never_enough), KeptWalks(None, "op", {})).run(
            METRICS, silent, never
        )


class Follower:
    """The smallest strategy that can find something: on the first two thirds of the bars it learns whether the next
    return follows the last one or turns, and on the last third it is judged."""

    def __call__(self, source: Any, *_: Any) -> Mapping[str, Any]:
        return self.metrics(source.load("EURUSD", "1h", start=None, end=None, history=0))

    def metrics(self, bars: Bars) -> Mapping[str, Any]:
        moves = np.diff(np.log(bars.close))
        last, following = np.sign(moves[:-1]), moves[1:]
        learnt = len(last) * 2 // 3
        side = np.sign((last * following)[:learnt].sum()) * last[learnt:]
        earned = side * following[learnt:]
        hits = float((np.sign(following[learnt:]) == side).mean())
        sharpe = float(earned.mean() / earned.std())
        return {"balanced_accuracy": hits, "trades": {"sharpe": sharpe}}


def scores_on(bars: Bars, walks: int, seed: int) -> Mapping[str, Any]:
    follower = Follower()
    test = NullTest(Shelf(bars), strategy(walks, seed), follower, KeptWalks(None, "op", {}))
    scores: Mapping[str, Any] = test.run(follower.metrics(bars), silent, never)["scores"]
    return scores


def test_an_edge_is_found() -> None:
    """Returns that follow those before: no walk does as well, by either score."""
    for seed in range(5):
        scores = scores_on(market(seed, 1_200, follow=0.25), 19, seed)
        assert scores["net_sharpe"]["p"] == scores["balanced_accuracy"]["p"] == 1 / 20
        assert scores["balanced_accuracy"]["excess"] > 0.03


def test_p_is_uniform_on_random_walks() -> None:
    """Over 150 markets without anything to find each p comes as often as any other."""
    ranks: dict[str, list[int]] = {"net_sharpe": [], "balanced_accuracy": []}
    for seed in range(150):
        with structlog.testing.capture_logs():
            scores = scores_on(market(seed + 100, 240), 9, seed)
        for name, score in scores.items():
            ranks[name].append(round(score["p"] * 10))
    assert stats.chisquare(np.bincount(ranks["net_sharpe"], minlength=11)[1:]).pvalue > 0.01
    means = {name: float(np.mean(found)) for name, found in ranks.items()}
    for mean in means.values():  # hits are counts, so that ties make p a little large
        assert 5.5 - 0.7 < mean < 5.5 + 0.9


@pytest.mark.parametrize(
    ("value", "p", "walks", "said"),
    [
        (0.70, 0.05, 19, "chance alone seldom does as well"),
        (0.66, 0.35, 19, "6 of 19 do as well, which is no sign of an edge"),
        (0.70, 0.2, 4, "no walk does as well, and so few say little"),
        (None, None, 19, "has no p, as there are no trades"),
    ],
)
def test_the_sentence_follows_p(value: float | None, p: float | None, walks: int, said: str) -> None:
    null = {"null_mean": 0.65, "null_sd": 0.02, "null_low": 0.6, "null_high": 0.69, "excess": 0.0}
    (first, *_) = conclusions({"net_sharpe": {"value": value, "p": p, **null}}, {}, walks)
    assert said in first
    assert "0.650 (0.600 to 0.690)" in first


def test_easy_labels_are_called_easy() -> None:
    """Two of three right where nobody can predict anything: whoever reads an accuracy hears of it; and how few walks
    are too few."""
    null = {"null_mean": 0.5, "null_sd": 0.02, "null_low": 0.6, "null_high": 0.69, "excess": 0.0}
    scores = {
        "balanced_accuracy": {"value": 0.52, "p": 0.2, **null},
        "accuracy": {"value": 0.7, **null, "null_mean": 0.68},
    }
    classes = {"classes": ["BUY", "HOLD", "SELL"]}
    assert "told right in 68% of all cases on walks that nobody can predict" in conclusions(scores, classes, 19)[-1]
    fair = {"balanced_accuracy": {"value": 0.35, "p": 0.2, **null, "null_mean": 0.34}}
    assert not any("told right" in sentence for sentence in conclusions(fair, classes, 19))
    assert any("4 walks cannot give a p below 0.2" in sentence for sentence in conclusions(fair, classes, 4))


def test_a_strategy_or_its_caller_says_how_many_walks(tmp_path: Path) -> None:
    """None by default; a caller's number wins; what is no number of walks is refused."""
    (tmp_path / "a.yaml").write_text(TEXT.replace("seed: 42", "seed: 42\n  null_test: 19"), encoding="utf-8")
    files = StrategyFiles(tmp_path)
    assert files.read("a").resolved["training"]["null_test"] == 19
    assert files.read("a", StrategyOverrides(null_test=99)).resolved["training"]["null_test"] == 99
    assert MOMENTUM.training.null_test is None
    for wrong in ("-1", "many", "2.5", "true"):
        with pytest.raises(InvalidStrategy, match="null_test"):
            read_strategy(TEXT.replace("seed: 42", f"seed: 42\n  null_test: {wrong}"), "test")

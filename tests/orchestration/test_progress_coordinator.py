"""Progress between training and readers: never late at a phase's ends, never too much, never in training's way."""

import time

from hypothesis import given
from hypothesis import strategies as st

from ktrdr.contracts.training import Phase
from ktrdr.orchestration.progress_coordinator import ProgressCoordinator


class Clock:
    """A clock that moves when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def coordinator(interval=0.1):
    clock, heard = Clock(), []
    return ProgressCoordinator([heard.append], clock=clock, interval=interval), clock, heard


def test_first_and_last_of_each_phase_pass():
    """Of many messages in no time, each phase's first and last are heard, in order."""
    report, _, heard = coordinator()
    for phase in (Phase.DATA_LOADING, Phase.INDICATORS):
        for number in range(100):
            report(phase, f"{phase} {number}")
    report.flush()
    report.flush()
    assert [news.message for news in heard] == [
        "data_loading 0",
        "data_loading 99",
        "indicators 0",
        "indicators 99",
    ]


def test_ten_a_second():
    """A phase that reports every millisecond for a second is heard about ten times, and its news are fresh."""
    report, clock, heard = coordinator()
    for epoch in range(1000):
        report(Phase.TRAINING, "epoch", epoch=epoch, epochs=1000)
        clock.now += 0.001
    assert 10 <= len(heard) <= 11
    assert heard[-1].details["epoch"] >= 900


MESSAGES = st.lists(
    st.tuples(st.sampled_from(Phase), st.integers(-2, 12), st.sampled_from([0, 1, 10, None, "x"]), st.floats(0, 5)),
    max_size=40,
)


@given(MESSAGES)
def test_whatever_is_reported(messages):
    """Nothing that a training says raises; the fraction stays in [0, 1] and never falls; an ETA is never negative."""
    report, clock, heard = coordinator(interval=0)
    for phase, epoch, epochs, seconds in messages:
        clock.now += seconds
        report(phase, "m", epoch=epoch, epochs=epochs)
    fractions = [news.fraction for news in heard]
    assert len(heard) == len(messages)
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert all(news.eta_seconds is None or news.eta_seconds >= -1e-9 for news in heard)


def test_fraction_and_eta():
    """Training is most of the whole; half its epochs done after ten seconds leaves ten and a little for the rest."""
    report, clock, heard = coordinator()
    report(Phase.DATA_LOADING, "m")
    assert (heard[-1].fraction, heard[-1].eta_seconds) == (0.0, None)
    clock.now += 3
    report(Phase.TRAINING, "m")
    before = heard[-1].fraction
    assert heard[-1].eta_seconds is None
    clock.now += 10
    report(Phase.TRAINING, "m", epoch=5, epochs=10)
    assert heard[-1].fraction - before > 0.3
    assert 10 < heard[-1].eta_seconds < 13
    clock.now += 10
    report(Phase.EVALUATION, "m")
    assert 0 < heard[-1].eta_seconds < 5
    clock.now += 1
    report(Phase.RESULT_AGGREGATION, "m")
    assert 0.98 < heard[-1].fraction < 1


def test_walks_are_as_long_as_the_training_before_them():
    """With three walks the training is a quarter of the whole, and each walk another; the pace tells the rest."""
    report, clock, heard = coordinator(interval=0)

    def tell(phase, **details):
        report(phase, "m", walks=3, **details)
        return heard[-1].fraction

    assert tell(Phase.TRAINING, epoch=0, epochs=4) < 0.05
    clock.now += 10
    assert 0.2 < tell(Phase.TRAINING, epoch=4, epochs=4) < 0.25
    assert 20 < heard[-1].eta_seconds < 40
    assert 0.2 < tell(Phase.EVALUATION) <= 0.25
    assert tell(Phase.EVALUATION, walk=1) == 0.25
    clock.now += 10
    assert tell(Phase.EVALUATION, walk=2, epoch=2, epochs=4) == 0.625
    assert heard[-1].eta_seconds == 12.0
    assert tell(Phase.EVALUATION, walk=3, epoch=4, epochs=4) == 1.0
    assert tell(Phase.RESULT_AGGREGATION) == 1.0
    fractions = [news.fraction for news in heard]
    assert fractions == sorted(fractions)


def test_a_consumer_in_trouble(monkeypatch):
    """A consumer that raises is complained of once and harms neither the others nor the training."""
    lines, heard = [], []
    monkeypatch.setattr(
        "ktrdr.orchestration.progress_coordinator._log.warning",
        lambda event, **fields: lines.append(event),
        raising=False,
    )

    def broken(progress):
        raise RuntimeError("no")

    report = ProgressCoordinator([broken, heard.append], interval=0)
    for phase in Phase:
        report(phase, "m")
    assert len(heard) == 12
    assert len(lines) == 1


def test_everything_in_trouble(monkeypatch):
    """Nonsense from the training, a broken clock and a broken log together still raise nothing."""

    def broken(*args, **fields):
        raise RuntimeError("no")

    monkeypatch.setattr("ktrdr.orchestration.progress_coordinator._log.warning", broken, raising=False)
    report = ProgressCoordinator([broken], interval=0)
    report("no phase", None)
    report(Phase.TRAINING, 5, epoch=object())
    report._held = (Phase.TRAINING, 5, {})
    report.flush()
    monkeypatch.setattr(report, "_clock", broken)
    report(Phase.TRAINING, "m")


def test_hammering_is_cheap():
    """A message that is held back costs a small multiple of calling a function with the same arguments."""
    report = ProgressCoordinator([lambda progress: None], interval=3600)

    def nothing(phase, message, **details):
        return None

    def seconds(callback):
        began = time.perf_counter()
        for epoch in range(100_000):
            callback(Phase.TRAINING, "epoch", epoch=epoch, epochs=100_000)
        return time.perf_counter() - began

    assert min(seconds(report) for _ in range(2)) < 15 * min(seconds(nothing) for _ in range(2))

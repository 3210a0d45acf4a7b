"""What is told of a training where the output is no terminal."""

from types import SimpleNamespace
from typing import Any

import torch

from siamese import progress
from siamese.progress import Longer, TrainingBar, in_words


def test_a_line_at_each_validation_and_where_a_minute_has_brought_none(capsys, monkeypatch):
    """Steps of 25 seconds, and a validation after the sixth, which takes none."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: False))
    trainer: Any = SimpleNamespace(
        estimated_stepping_batches=10, global_step=0, callback_metrics={}, sanity_checking=False
    )
    bar, module = TrainingBar(), torch.nn.Module()
    bar.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in range(1, 11):
        clock.now, trainer.global_step = clock.now + 25, step
        bar.on_train_batch_end(trainer, module, None)  # type: ignore[arg-type]
        trainer.callback_metrics = {"train/loss": torch.tensor(1 / step)}
        if step == 6:
            trainer.callback_metrics["val/one_shot"] = torch.tensor(0.5)
            bar.on_validation_end(trainer, module)  # type: ignore[arg-type]
    bar.on_train_end(trainer, module)  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "step 3 of 10: loss 0.500, 02:55 left",
        "step 6 of 10: loss 0.200, 01:40 left",
        "step 6 of 10: loss 0.167, val one-shot 50.0%, 01:40 left",
        "step 9 of 10: loss 0.125, 00:25 left",
    ]


def test_a_line_without_figures_is_whole(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    trainer: Any = SimpleNamespace(
        estimated_stepping_batches=2, global_step=0, callback_metrics={}, sanity_checking=False
    )
    bar = TrainingBar()
    bar.on_train_start(trainer, torch.nn.Module())  # type: ignore[arg-type]
    trainer.global_step = 1
    bar.on_train_batch_end(trainer, torch.nn.Module(), None)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "step 1 of 2: 00:00 left\n"


def test_the_first_steps_tell_how_long_the_training_takes_here(capsys, monkeypatch):
    """A first step of 9 seconds, which does not count, and then half a second each."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    trainer: Any = SimpleNamespace(
        estimated_stepping_batches=300, global_step=0, callback_metrics={}, sanity_checking=False
    )
    bar, module = TrainingBar(), torch.nn.Module()
    bar.on_train_start(trainer, module)  # type: ignore[arg-type]
    for step in range(1, 20):
        clock.now, trainer.global_step = clock.now + (9 if step == 1 else 0.5), step
        bar.on_train_batch_end(trainer, module, None)  # type: ignore[arg-type]
    bar.on_train_end(trainer, module)  # type: ignore[arg-type]
    told = "300 steps of 0.50 s on this machine: about 2.5 minutes of training, then the test"
    assert capsys.readouterr().out.splitlines() == [told]


def test_a_longer_recipe_is_named_with_its_time_here():
    longer = Longer("long.yaml", 10, "99 % on the official runs")
    assert Longer.of(longer) is longer and Longer.of(None) is None and Longer.of(vars(longer)) == longer
    assert longer.sentence(45) == (
        "99 % on the official runs: make train-omniglot CONFIG=long.yaml, which would take about 7.5 minutes of training on "
        "this machine"
    )
    assert [in_words(each) for each in (3.2, 99, 100, 599, 1500)] == [
        "3 seconds", "99 seconds", "1.7 minutes", "10.0 minutes", "25 minutes",
    ]  # fmt: skip

"""The YAML of a sweep: what is drawn from it here is what W&B draws, and what is wrong with one is told."""

from pathlib import Path

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from siamese.__main__ import main
from siamese.cli import Preparation, run_command
from siamese.errors import UserError
from siamese.sweep import Sweep
from siamese.sweep.space import distribution, examples, options
from tests.test_sweep import RATE, write

PAPER = Path(__file__).parents[1] / "experiments" / "omniglot_sweep.yaml"


@pytest.mark.parametrize(
    ("entry", "drawn_from"),
    [
        ({"min": 0.0, "max": 1.0, "distribution": "uniform"}, FloatDistribution(0, 1)),
        ({"min": 0.0, "max": 1}, FloatDistribution(0, 1)),
        ({"min": 1e-4, "max": 0.1, "distribution": "log_uniform_values"}, FloatDistribution(1e-4, 0.1, log=True)),
        ({"min": 2, "max": 9}, IntDistribution(2, 9)),
        ({"min": 2, "max": 9, "distribution": "int_uniform"}, IntDistribution(2, 9)),
        ({"values": [[8, 16], True, "a", 0.5]}, CategoricalDistribution(["[8, 16]", "true", "a", "0.5"])),
        ({"value": 3}, CategoricalDistribution(["3"])),
    ],
)
def test_parameters_are_drawn_as_wandb_draws_them(entry, drawn_from):
    assert distribution("x", entry) == drawn_from


def test_examples_hold_every_choice_and_every_lower_bound():
    space = {"a": CategoricalDistribution(["x", "y", "z"]), "b": FloatDistribution(0.5, 1), "c": IntDistribution(2, 3)}
    assert [list(each.values()) for each in examples(space)] == [["x", 0.5, 2], ["y", 0.5, 2], ["z", 0.5, 2]]


def test_the_sweep_of_the_paper_searches_its_ranges_in_every_layer():
    found = Sweep.read(PAPER)
    few = ["--data.source=siamese.datasets.glyphs.Glyphs", "--data.source.alphabets=4", "--data.source.drawers=2"]
    (lowest,) = examples(found.space)
    prepared = run_command(["fit", *found.options, *few, *options(lowest)], Preparation)
    optimizer = prepared.model.optimization.configure(prepared.model, 1, 1)["optimizer"]
    assert len(optimizer.param_groups) == 6
    for group in optimizer.param_groups:
        assert (group["lr"], group["final_momentum"], group["weight_decay"]) == (1e-4, 0, 1e-6)
    bounds = {(each.low, each.high, each.log) for each in found.space.values()}
    assert bounds == {(1e-4, 0.1, True), (0, 1, False), (1e-6, 0.1, True)}
    assert not prepared.config["fit"].benchmark


def test_a_trial_is_the_command_that_wandb_runs():
    found = Sweep.read(PAPER)
    drawn = dict.fromkeys(found.space, 0.0125)
    theirs = create_sweep_command_args({"args": {name: {"value": value} for name, value in drawn.items()}})
    command = yaml.safe_load(PAPER.read_text())["command"]
    place = command.index("${args}")
    ran = [*command[:place], *theirs["args"], *command[place + 1 :]]
    assert ran == [".venv/bin/python", "-m", "siamese", "fit", *found.options, *options(drawn)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"metric": None}, "it has no 'metric'"),
        ({"metric": {"name": "val/one_shot"}}, "metric.goal is maximize or minimize, not None"),
        ({"parametres": {}}, "there is no parametres in a sweep"),
        ({"method": "grid"}, "method 'grid' is not known here; there are bayes, random"),
        ({"parameters": {}}, "parameters has none"),
        ({"parameters": {RATE: {"min": 1e-4}}}, f"of the parameter {RATE} it is not known what it is drawn from"),
        ({"parameters": {RATE: {"distribution": "normal"}}}, "there are uniform"),
        ({"parameters": {RATE: {"min": "1e-4", "max": 1}}}, "1e-4 is 1.0e-4 in YAML"),
        ({"parameters": {RATE: {"min": 2.0, "max": 1}}}, f"the bounds of the parameter {RATE} cannot be"),
        ({"parameters": {RATE: {"values": []}}}, "a list of at least one"),
        ({"command": ["siamese", "fit"]}, "has to run fit with some options"),
        ({"command": ["siamese", "fit", "--config", "x", "${args}"]}, "'--config' in the command is not known"),
        ({"early_terminate": {"type": "median"}}, "early_terminate has type hyperband"),
        ({"run_cap": 0}, "run_cap is a whole number from 1 on, not 0"),
    ],
)
def test_a_wrong_yaml_is_told(changed, sentence, tmp_path, capsys):
    assert main(["sweep", str(write(tmp_path, **changed)), "--runs", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
    with pytest.raises(UserError, match=r"omniglot_sweep\.yaml is"):
        Sweep.read(tmp_path / "sweep.yaml")

"""Sweeps: short trainings with drawn options, kept in a database, the best of which leaves a YAML to train with."""

import csv
import signal
from pathlib import Path

import optuna
import pytest
import yaml
from filelock import FileLock

from siamese.__main__ import main
from siamese.evaluation import OneShot
from siamese.report import read_metrics
from siamese.sweep.storage import NAME, storage
from siamese.systems.data import FewShotData

TINY = Path(__file__).parent / "tiny.yaml"
RATE = "model.optimization.init_args.lr"
ONE_EPOCH = ("--trainer.max_epochs=1",)


def write(folder: Path, *further: str, **changed) -> Path:
    """The YAML of a sweep over the tiny experiment's learning rate, with ``further`` options of fit."""
    command = [".venv/bin/python", "-m", "siamese", "fit", f"--config={TINY}", *further, "${args}"]
    content = {
        "name": "tiny-sweep",
        "program": "siamese/__main__.py",
        "command": command,
        "method": "bayes",
        "metric": {"name": "val/one_shot", "goal": "maximize"},
        "parameters": {RATE: {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}},
    } | changed
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def sweep(path: Path, runs: Path, *further: str) -> int:
    own = ["--model.optimization", "siamese.systems.optimization.OneCycle"]
    return main(["sweep", str(path), "--runs", str(runs), *own, *further])


def trials(runs: Path) -> list[dict[str, str]]:
    with (runs / "tiny-sweep-glyphs" / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def figures(run: Path, name: str = "val/one_shot") -> list[float]:
    return [row[name] for row in read_metrics(run) if name in row]


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The runs of a sweep of four trials, and its YAML beside them."""
    home = tmp_path_factory.mktemp("sweep")
    assert sweep(write(home, *ONE_EPOCH), home, "--trials", "4") == 0
    return home


def test_a_sweep_leaves_its_trials_and_the_best_of_them(swept):
    folder = swept / "tiny-sweep-glyphs"
    rows = trials(swept)
    assert [(row["trial"], row["outcome"], row["validations"]) for row in rows] == [
        (str(number), "complete", "1") for number in range(4)
    ]
    assert len({row[RATE] for row in rows}) == 4
    for row in rows:
        run = folder / "trials" / f"{int(row['trial']):04d}"
        assert figures(run) == [pytest.approx(float(row["val/one_shot"]), abs=1e-5)]
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert config["model"]["optimization"]["init_args"]["lr"] == float(row[RATE])
    assert not list(folder.rglob("*.ckpt"))
    best = max(rows, key=lambda row: float(row["val/one_shot"]))
    written = (folder / "best.yaml").read_text()
    assert yaml.safe_load(written)["model"]["optimization"]["init_args"]["lr"] == float(best[RATE])
    assert f"trial {best['trial']}, val/one_shot" in written
    assert "but --trainer.max_epochs=1" in written
    assert yaml.safe_load(written)["trainer"]["max_epochs"] == 2, "what makes trials short is not chosen"


def test_no_trial_sees_test_images_and_the_best_yaml_trains_as_its_trial_did(swept, tmp_path, monkeypatch):
    seen: set[str] = set()
    images = FewShotData._images
    monkeypatch.setattr(
        FewShotData, "_images", lambda self, split, rows: (seen.add(split), images(self, split, rows))[1]
    )
    path = write(tmp_path, *ONE_EPOCH, "--data.val_batches=2")
    assert sweep(path, tmp_path, "--trials", "1", "--data.val_batches=4") == 0
    assert seen == {"train", "val"}
    seen.clear()
    written = (tmp_path / "tiny-sweep-glyphs" / "best.yaml").read_text()
    assert yaml.safe_load(written)["data"]["val_batches"] == 4, "what was typed holds for what is chosen"
    assert "but --trainer.max_epochs=1\n" in written
    best = str(swept / "tiny-sweep-glyphs" / "best.yaml")
    assert main(["fit", "--config", best, "--runs", str(tmp_path), *ONE_EPOCH]) == 0
    assert seen == {"train", "val", "test"}
    value = max(float(row["val/one_shot"]) for row in trials(swept))
    assert figures(tmp_path / "tiny-glyphs" / "latest") == [pytest.approx(value, abs=1e-5)]


def test_fit_without_its_benchmark_keeps_the_weights_and_reports_nothing(tmp_path):
    assert main(["fit", "--config", str(TINY), "--runs", str(tmp_path), *ONE_EPOCH, "--benchmark=false"]) == 0
    run = tmp_path / "tiny-glyphs" / "latest"
    assert (run / "checkpoints" / "best.ckpt").exists()
    assert not (run / "results.json").exists()


def test_a_stopped_sweep_goes_on_as_if_it_never_stopped(swept, tmp_path, monkeypatch, capsys, request):
    """Ctrl-C within the second training; then a process that was killed has left a trial half done."""
    from siamese.sweep.trial import Reports

    path = write(tmp_path, *ONE_EPOCH)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    told = Reports.on_validation_end

    def second_is_interrupted(self, *arguments):
        if self.trial.number == 1:
            signal.raise_signal(signal.SIGINT)
        told(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Reports, "on_validation_end", second_is_interrupted)
        assert sweep(path, tmp_path, "--trials", "4") == 130
    said = capsys.readouterr().out
    assert "the same command does the rest" in said
    assert "the best of 1 trial " in said
    assert [row["outcome"] for row in trials(tmp_path)] == ["complete", "stopped"]
    folder = tmp_path / "tiny-sweep-glyphs"
    optuna.load_study(study_name=NAME, storage=storage(folder)).ask()
    assert sweep(path, tmp_path, "--trials", "4") == 0
    rows = trials(tmp_path)
    assert [row["outcome"] for row in rows] == ["complete", "stopped", "stopped", "complete", "complete", "complete"]
    complete = [row for row in rows if row["outcome"] == "complete"]
    assert [row[RATE] for row in complete] == [row[RATE] for row in trials(swept)]
    database = (folder / "sweep.db").read_bytes()
    assert sweep(path, tmp_path, "--trials", "4") == 0
    assert (folder / "sweep.db").read_bytes() == database, "nothing is left to do"


def test_diverged_trials_end_no_sweep(tmp_path, capsys):
    path = write(tmp_path, *ONE_EPOCH, method="random", parameters={RATE: {"values": [4e-3, 1e30]}})
    assert sweep(path, tmp_path, "--trials", "5") == 0
    outcomes = [(row["outcome"], row[RATE]) for row in trials(tmp_path)]
    assert set(outcomes) == {("complete", "0.004"), ("diverged", "1e+30")}
    assert f"{len(outcomes)} trials" in capsys.readouterr().out


def test_where_all_diverge_nothing_is_chosen(tmp_path, capsys):
    path = write(tmp_path, *ONE_EPOCH, parameters={RATE: {"value": 1e30}})
    assert sweep(path, tmp_path, "--trials", "1") == 2
    assert "none of 1 trial (0 ended early, 1 diverged) came to its end" in capsys.readouterr().err
    assert not (tmp_path / "tiny-sweep-glyphs" / "best.yaml").exists()


def test_a_poor_trial_is_ended_early(tmp_path, monkeypatch):
    scores = iter([0.5, 0.6, 0.7, 0.1, 0.8, 0.8, 0.7])
    monkeypatch.setattr(OneShot, "choose", lambda *arguments: {"val/one_shot": next(scores)})
    halving = {"type": "hyperband", "min_iter": 1, "eta": 2}
    path = write(tmp_path, "--trainer.max_epochs=3", early_terminate=halving)
    assert sweep(path, tmp_path, "--trials", "3") == 0
    found = [(row["outcome"], row["validations"], row["val/one_shot"]) for row in trials(tmp_path)]
    assert found == [("complete", "3", "0.7"), ("ended early", "1", "0.1"), ("complete", "3", "0.8")]


def test_several_processes_share_the_database(swept, tmp_path, monkeypatch):
    from siamese.sweep import trial

    def refuse(*arguments):
        raise AssertionError("a trial in the process that waits for the others")

    monkeypatch.setattr(trial, "run_command", refuse)  # the others are started afresh, and know nothing of it
    assert sweep(write(tmp_path, *ONE_EPOCH), tmp_path, "--trials", "3", "--workers", "2") == 0
    rows = trials(tmp_path)
    assert [row["outcome"] for row in rows] == ["complete"] * 3
    assert {row[RATE] for row in rows} == {row[RATE] for row in trials(swept)[:3]}, "one seed, one draw"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"model.optimization.init_args.rate": {"value": 1}}, "'rate' is not accepted"),
        ({RATE: {"values": [0.1, "much"]}}, "much"),
    ],
)
def test_an_option_that_fit_does_not_take_is_told_before_anything_is_trained(parameters, sentence, tmp_path, capsys):
    assert sweep(write(tmp_path, parameters=parameters), tmp_path) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert f"the parameters or the command of {tmp_path / 'sweep.yaml'}" in said
    assert not (tmp_path / "tiny-sweep-glyphs").exists()


def test_a_metric_that_is_not_logged_is_told_and_the_yaml_may_be_mended(tmp_path, capsys):
    wrong = {"name": "val/accuracy", "goal": "maximize"}
    assert sweep(write(tmp_path, *ONE_EPOCH, metric=wrong), tmp_path, "--trials", "1") == 2
    assert "no validation tells val/accuracy; metric.name can be one of: val/" in capsys.readouterr().err
    assert sweep(write(tmp_path, *ONE_EPOCH), tmp_path, "--trials", "1") == 0
    assert [row["outcome"] for row in trials(tmp_path)] == ["complete"]


def test_trials_of_another_search_are_not_mixed_in(swept, tmp_path, capsys):
    other = {RATE: {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1}}
    before = trials(swept)
    assert sweep(write(tmp_path, *ONE_EPOCH, parameters=other), swept, "--trials", "9") == 2
    assert "holds trials of another search (another parameters)" in capsys.readouterr().err
    assert sweep(write(tmp_path, "--trainer.max_epochs=3"), swept, "--trials", "9") == 2
    assert "(another configuration)" in capsys.readouterr().err
    assert trials(swept) == before


def test_wrong_words_are_told(swept, tmp_path, capsys):
    path = write(tmp_path, *ONE_EPOCH)
    assert sweep(tmp_path / "no.yaml", tmp_path) == 2
    assert "cannot read the sweep" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        sweep(path, tmp_path, "--workers", "0")
    assert "--workers" in capsys.readouterr().err
    with FileLock(swept / "tiny-sweep-glyphs" / "sweep.lock"):
        assert sweep(path, swept) == 2
    assert "another sweep is at work" in capsys.readouterr().err
    (tmp_path / "tiny-sweep-glyphs").mkdir()
    (tmp_path / "tiny-sweep-glyphs" / "sweep.db").write_text("nothing of the kind" * 100)
    assert sweep(path, tmp_path) == 2
    assert "is no database of a sweep" in capsys.readouterr().err

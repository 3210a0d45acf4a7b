"""The real commands on a tiny table, from training to report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from siamese.__main__ import main
from siamese.record import GracefulStop
from siamese.report import read_metrics

TINY = str(Path(__file__).parent / "tiny.yaml")


def fit(runs: Path, *options: str) -> int:
    return main(["fit", "--config", TINY, "--runs", str(runs), *options])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a finished run."""
    runs = tmp_path_factory.mktemp("runs")
    assert fit(runs) == 0
    return (runs / "tiny-glyphs" / "latest").resolve()


def results_of(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def weights(run: Path) -> torch.Tensor:
    """The last weights of the embedding layer."""
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]["network.embed.weight"]


def test_a_run_leaves_what_was_promised(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"config.yaml", "metrics.csv", "results.json", "report.html", "pictures", "checkpoints"} <= names
    assert {path.name for path in (trained / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    results = results_of(trained)
    assert results["dataset"] == results["trained_on"] == "glyphs"
    assert results["steps"] == 12
    assert results["train_seconds"] > 0
    assert results["checkpoint"] == "checkpoints/best.ckpt"
    assert "official" not in results["one_shot"]
    (sampled, across) = results["one_shot"]["sampled"]
    assert results["methods"] == {
        "this network": {"within 5-way 1": sampled["accuracy"], "across 5-way 1": across["accuracy"]}
    }
    assert sampled["low"] <= sampled["accuracy"] <= sampled["high"]
    assert sampled["how"] == "episodes within an alphabet, nearest support embedding, one view of each image"
    assert across["how"] == "episodes across all classes, nearest support embedding, one view of each image"
    assert set(results["verification"]["tar_at_far"]) == {"0.01", "0.001"}
    assert not any(row["source"] == "published" for row in results["baselines"])


def test_evaluate_repeats_the_figures_of_the_training(trained, tmp_path):
    checkpoint = tmp_path / "moved.ckpt"  # it carries its configuration, wherever it lies
    checkpoint.write_bytes((trained / "checkpoints" / "best.ckpt").read_bytes())
    assert main(["evaluate", "--checkpoint", str(checkpoint), "--runs", str(tmp_path)]) == 0
    (again,) = (tmp_path / "tiny-glyphs").glob("*-test")
    for key in ("one_shot", "verification", "baselines", "fingerprint", "trained_on"):
        assert results_of(again)[key] == results_of(trained)[key], key


def test_resuming_prolongs_a_finished_training_in_its_own_folder(tmp_path):
    assert fit(tmp_path, "--trainer.max_epochs", "1") == 0
    run = (tmp_path / "tiny-glyphs" / "latest").resolve()
    seconds = results_of(run)["train_seconds"]
    assert fit(tmp_path, "--resume", "true") == 0
    assert (tmp_path / "tiny-glyphs" / "latest").resolve() == run
    results = results_of(run)
    assert results["steps"] == 12
    assert results["resumed_from"] == str(run / "checkpoints" / "last.ckpt")
    assert results["train_seconds"] > seconds
    validated = [row["step"] for row in read_metrics(run) if "val/one_shot" in row]
    assert validated == [5, 11]


def test_equal_seeds_train_equal_networks_and_others_do_not(trained, tmp_path):
    assert fit(tmp_path) == 0
    assert torch.equal(weights(tmp_path / "tiny-glyphs" / "latest"), weights(trained))
    assert fit(tmp_path, "--seed_everything", "1") == 0
    assert not torch.equal(weights(tmp_path / "tiny-glyphs" / "latest"), weights(trained))


@pytest.mark.parametrize("loss", ["Binary", "Contrastive"])
@pytest.mark.parametrize("sampler", ["ClassBatches", "PairBatches"])
def test_both_losses_train_on_both_kinds_of_batches_by_one_switch(loss, sampler, tmp_path):
    few = ["--data.sampler.pairs", "24", "--data.sampler.batch", "8", "--data.sampler.copies", "1"]
    options = ["--data.sampler", f"siamese.sampling.batches.{sampler}", *(few if sampler == "PairBatches" else [])]
    assert fit(tmp_path, "--model.loss", f"siamese.losses.{loss}", "--trainer.max_epochs", "1", *options) == 0
    config = yaml.safe_load((tmp_path / "tiny-glyphs" / "latest" / "config.yaml").read_text())
    assert config["model"]["loss"]["class_path"] == f"siamese.losses.{loss}"
    assert config["data"]["sampler"]["class_path"] == f"siamese.sampling.batches.{sampler}"


def test_a_metric_learning_loss_and_miner_by_class_path(tmp_path):
    pml = "pytorch_metric_learning"
    loss = {
        "class_path": "siamese.losses.MetricLearning",
        "init_args": {
            "loss": {"class_path": f"{pml}.losses.MultiSimilarityLoss"},
            "miner": {"class_path": f"{pml}.miners.MultiSimilarityMiner", "init_args": {"epsilon": 0.2}},
        },
    }
    assert fit(tmp_path, "--model.loss", json.dumps(loss), "--trainer.max_epochs", "1") == 0


def test_predict_writes_the_embeddings_of_the_test_images(trained, tmp_path):
    checkpoint = str(trained / "checkpoints" / "best.ckpt")
    assert main(["predict", "--config", TINY, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]) == 0
    (written,) = tmp_path.glob("tiny-glyphs/*-predict/embeddings.pt")
    found = torch.load(written, weights_only=True)
    assert found["embeddings"].shape == (6 * 6, 16)
    assert len(found["files"]) == 36


def test_validate_runs_alone(trained, tmp_path, capsys):
    checkpoint = str(trained / "checkpoints" / "best.ckpt")
    assert main(["validate", "--config", TINY, "--ckpt_path", checkpoint, "--runs", str(tmp_path)]) == 0
    assert "val/one_shot" in capsys.readouterr().out


def test_ctrl_c_saves_and_reports_and_a_resumed_training_ends_as_if_never_stopped(tmp_path):
    options = ["--trainer.max_epochs", "60"]
    command = [sys.executable, "-m", "siamese", "fit", "--config", TINY, "--runs", str(tmp_path), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen = []
    for line in process.stdout:  # type: ignore[union-attr]
        seen.append(line)
        if line.startswith("step 12 "):
            process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0, "".join(seen)
    run = (tmp_path / "tiny-glyphs" / "latest").resolve()
    results = results_of(run)
    assert results["interrupted"]
    assert 12 <= results["steps"] < 360
    assert (run / "report.html").exists()
    assert (run / "checkpoints" / "best.ckpt").exists()
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == results["steps"]
    assert fit(tmp_path, "--resume", "true", *options) == 0
    resumed = (tmp_path / "tiny-glyphs" / "latest").resolve()
    assert results_of(resumed)["steps"] == 360
    assert fit(tmp_path / "whole", *options) == 0
    assert torch.equal(weights(resumed), weights(tmp_path / "whole" / "tiny-glyphs" / "latest"))


DROPOUT = [
    "--data.image_size=76", "--model.network=siamese.networks.FourConv", "--model.network.channels=1",
    "--model.network.height=76", "--model.network.width=76",
]  # fmt: skip


@pytest.mark.parametrize(
    "how", [[], ["--trainer.val_check_interval", "3"], DROPOUT], ids=["at the end", "within", "dropout"]
)
@pytest.mark.filterwarnings("error:.*ended before the epoch ended")
def test_a_training_stopped_within_an_epoch_goes_on_within_it(how, tmp_path, monkeypatch):
    """Two epochs of six steps, stopped within the first, at its end, and twice within the second."""

    def last(runs: Path) -> dict:
        return torch.load(runs / "tiny-glyphs" / "latest" / "checkpoints" / "last.ckpt", weights_only=True)

    unjudged = ["--trainer.callbacks", "null", "--checkpoint.monitor", "val/loss", "--checkpoint.mode", "min"]
    options = [*unjudged, *how]
    assert fit(tmp_path / "whole", *options) == 0
    for step in (4, 6, 8, 9):

        def interrupt(self, trainer, *_, step=step) -> None:
            if trainer.global_step == step:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(GracefulStop, "on_train_batch_end", interrupt)
        assert fit(tmp_path, *options, *(["--resume", "true"] if step > 4 else [])) == 0
        assert last(tmp_path)["global_step"] == step
    assert fit(tmp_path, *options, "--resume", "true") == 0
    resumed, whole = last(tmp_path), last(tmp_path / "whole")
    assert resumed["global_step"] == whole["global_step"] == 12
    assert resumed["state_dict"].keys() == whole["state_dict"].keys()
    for name, weight in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], weight), name


@pytest.mark.parametrize("torchrun", [[], ["-m", "torch.distributed.run", "--nproc_per_node", "2"]])
def test_two_processes_train_together(torchrun, tmp_path):
    options = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_epochs", "1"]
    command = [sys.executable, *torchrun, "-m", "siamese", "fit", "--config", TINY, "--runs", str(tmp_path / "runs")]
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path / "scratch")}
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    (run,) = [path for path in (tmp_path / "runs/tiny-glyphs").iterdir() if not path.is_symlink()]  # one for both
    assert results_of(run)["steps"] == 3  # six batches shared by two
    assert not list((tmp_path / "scratch").glob("siamese-*"))


def test_the_program_starts_quickly():
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "siamese", "fit"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout.readline().startswith(b"siamese")  # type: ignore[union-attr]
    seconds = time.perf_counter() - began
    process.kill()
    assert seconds < 5


def test_a_dry_run_of_one_batch(tmp_path):
    assert fit(tmp_path, "--trainer.fast_dev_run", "true") == 0


def test_one_callback_may_be_given_by_itself(tmp_path):
    options = ("--trainer.max_epochs", "1", "--checkpoint.monitor", "val/eer", "--checkpoint.mode", "min")
    assert fit(tmp_path, *options, "--trainer.callbacks", "siamese.evaluation.Verification") == 0
    found = results_of(tmp_path / "tiny-glyphs" / "latest")
    assert "verification" in found and "one_shot" not in found

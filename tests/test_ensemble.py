"""Several checkpoints and views as one embedding, in Python and by ``evaluate``."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from siamese.__main__ import main
from siamese.augment import Affine
from siamese.ensemble import Ensemble
from siamese.errors import UserError
from siamese.model import Model
from siamese.sampling.seeds import generator

TINY = str(Path(__file__).parent / "tiny.yaml")
SUPCON = [
    "--model.loss",
    "siamese.losses.MetricLearning",
    "--model.loss.loss",
    "pytorch_metric_learning.losses.SupConLoss",
]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[Path]:
    """Checkpoints of two seeds of a short training whose embeddings are compared by the cosine."""
    return [trained(tmp_path_factory.mktemp("runs"), "--seed_everything", seed, *SUPCON) for seed in ("0", "1")]


def trained(runs: Path, *options: str) -> Path:
    short = ["--trainer.max_epochs", "1", "--benchmark", "false"]
    assert main(["fit", "--config", TINY, "--runs", str(runs), *short, *options]) == 0
    return (runs / "tiny-glyphs" / "latest" / "checkpoints" / "best.ckpt").resolve()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 28, 28, generator=generator(0))


def embedded(paths: list[Path], images: Tensor, views: int = 1, affine: Affine | None = None) -> Tensor:
    with torch.no_grad():
        return Ensemble([str(path) for path in paths], views, affine)(images)


def test_cosines_are_the_mean_of_the_networks(two, images):
    each = []
    with torch.no_grad():
        for path in two:
            one = F.normalize(Model.load(path, "cpu").network(images), dim=1)
            each.append(one @ one.T)
            torch.testing.assert_close(embedded([path], images), one, atol=1e-6, rtol=0)
    assert (each[0] - each[1]).abs().max() > 0.01
    both = embedded(two, images)
    assert both.shape == (6, Ensemble([str(path) for path in two]).embedding_size)
    torch.testing.assert_close(both @ both.T, (each[0] + each[1]) / 2, atol=1e-6, rtol=0)


def test_views_are_the_same_maps_of_every_image(two, images):
    found = embedded(two, images, 4)
    torch.testing.assert_close(found[2:3], embedded(two, images[2:3], 4), atol=1e-5, rtol=0)
    assert (found - embedded(two, images)).abs().max() > 1e-3
    still = Affine(0.0, 0.0, 0.0, 0.0)
    torch.testing.assert_close(embedded(two, images, 4, still), embedded(two, images), atol=1e-4, rtol=0)


def test_a_view_is_the_mean_of_directions(two, images):
    """Two views: the image, and the image moved to the left or right by a whole number of pixels."""
    shift = Affine(0.0, 0.0, 0.0, 0.2, whole_pixels=True)
    across, down = (shift.drawn(torch.tensor([False, True]), generator(0), 28, 28)[1, :, 2] * 14).round().int().tolist()
    assert (across, down) != (0, 0)
    padded = F.pad(images, (9, 9, 9, 9))
    moved = padded[:, :, 9 + down : 37 + down, 9 + across : 37 + across]
    first, second = embedded(two[:1], images), embedded(two[:1], moved)
    expected = F.normalize(first + second, dim=1)
    torch.testing.assert_close(embedded(two[:1], images, 2, shift), expected, atol=1e-4, rtol=0)


def test_evaluate_reports_an_ensemble_apart(two, tmp_path, capsys):
    arguments = ["evaluate", "--checkpoint", *map(str, two), "--views", "2", "--runs", str(tmp_path)]
    assert main(arguments) == 0
    (run,) = (tmp_path / "tiny-ensemble-2x2-glyphs").glob("*-test")
    results = json.loads((run / "results.json").read_text())
    assert results["experiment"] == "tiny-ensemble-2x2-glyphs"
    (sampled, *_) = results["one_shot"]["sampled"]
    assert 0 < sampled["accuracy"] <= 1
    assert sampled["how"].endswith("nearest support embedding, 2 networks and 2 views of each image")
    network = yaml.safe_load((run / "config.yaml").read_text())["model"]["network"]
    assert network["init_args"]["checkpoints"] == [str(path) for path in two]
    assert network["init_args"]["views"] == 2
    assert not (tmp_path / "tiny-glyphs").exists()


def test_an_ensemble_keeps_its_name_apart_whatever_it_is_called(two, tmp_path):
    named = tmp_path / "named.yaml"
    named.write_text("experiment: mine\n")
    assert (
        main(["evaluate", "--checkpoint", str(two[0]), "--views", "2", "--runs", str(tmp_path), "--config", str(named)])
        == 0
    )
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == ["mine-ensemble-1x2-glyphs"]


def test_what_stands_for_an_image_is_said(two):
    for paths, views, how in (
        (two, 1, "2 networks of each image"),
        (two, 3, "2 networks and 3 views of each image"),
        (two[:1], 3, "3 views of each image"),
        (two[:1], 1, "one view of each image"),
    ):
        assert Ensemble([str(path) for path in paths], views).how == how


def test_what_makes_no_ensemble_is_refused(two, best, tmp_path, capsys):
    with pytest.raises(UserError, match="one or more checkpoints and views, not 0 and 1"):
        Ensemble([])
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--checkpoint", str(two[0]), "--views", "0", "--runs", str(tmp_path)])
    assert "whole number from 1 on" in capsys.readouterr().err
    twice = ["--checkpoint", str(two[0]), "--checkpoint", str(two[0])]
    assert main(["evaluate", *twice, "--runs", str(tmp_path)]) == 2
    assert "given once" in capsys.readouterr().err
    assert main(["evaluate", "--checkpoint", str(two[0]), str(best), "--runs", str(tmp_path)]) == 2
    assert "Euclidean" in capsys.readouterr().err
    other = tmp_path / "other.ckpt"
    content = torch.load(two[1], weights_only=True)
    config = yaml.safe_load(content["siamese"]["config"])
    config["data"]["image_size"] = 35
    content["siamese"]["config"] = yaml.safe_dump(config)
    torch.save(content, other)
    assert main(["evaluate", "--checkpoint", str(two[0]), str(other), "--runs", str(tmp_path)]) == 2
    assert "other.ckpt was trained on other data, or images of another size" in capsys.readouterr().err
    config["data"]["image_size"] = 28
    content["siamese"] |= {"config": yaml.safe_dump(config), "fingerprint": "another"}
    torch.save(content, other)
    assert main(["evaluate", "--checkpoint", str(two[0]), str(other), "--runs", str(tmp_path)]) == 2
    assert "other.ckpt was trained on other data" in capsys.readouterr().err


def test_networks_that_tell_classes_make_no_ensemble(tmp_path, capsys):
    softmax = [
        "--model.loss",
        "siamese.losses.Softmax",
        "--model.loss.classes",
        "36",
        "--model.loss.embedding_size",
        "16",
    ]
    path = trained(tmp_path, *softmax)
    assert main(["evaluate", "--checkpoint", str(path), "--views", "2", "--runs", str(tmp_path)]) == 2
    assert "best.ckpt tells classes" in capsys.readouterr().err


def test_a_network_is_not_tested_on_what_it_was_taught(two, tmp_path, capsys):
    content = torch.load(two[0], weights_only=True)
    taught = content["siamese"]["classes"]
    assert taught
    assert all(name.startswith("Glyphs-0") for name in taught)
    results = {}
    for name, change in (
        ("taught", {"classes": [*taught, "Glyphs-06/character01"]}),
        ("elsewhere", {"classes": ["Glyphs-06/character01"], "fingerprint": "another", "dataset": "others"}),
    ):
        torch.save(content | {"siamese": content["siamese"] | change}, tmp_path / f"{name}.ckpt")
        for views in ("1", "2"):
            runs = tmp_path / f"{name}{views}"
            found = main(
                ["evaluate", "--checkpoint", str(tmp_path / f"{name}.ckpt"), "--views", views, "--runs", str(runs)]
            )
            assert found == (2 if name == "taught" else 0)
            if name == "taught":
                assert (
                    "taught 1 of the classes that are to be tested, for instance Glyphs-06/character01"
                    in capsys.readouterr().err
                )
            else:
                (path,) = runs.glob("*/*-test/results.json")
                results = json.loads(path.read_text())
                assert (results["trained_on"], results["dataset"]) == ("others", "glyphs")

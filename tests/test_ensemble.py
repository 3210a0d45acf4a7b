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
    found = []
    for seed in ("0", "1"):
        runs = tmp_path_factory.mktemp("runs")
        options = ["--seed_everything", seed, "--trainer.max_epochs", "1", "--benchmark", "false"]
        assert main(["fit", "--config", TINY, "--runs", str(runs), *options, *SUPCON]) == 0
        found.append((runs / "tiny-glyphs" / "latest" / "checkpoints" / "best.ckpt").resolve())
    return found


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 28, 28, generator=generator(0))


def embedded(paths: list[Path], images: Tensor, views: int = 1, affine: Affine | None = None) -> Tensor:
    with torch.no_grad():
        return Ensemble([str(path) for path in paths], views, affine).eval()(images)


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
    assert 0 < results["one_shot"]["sampled"][0]["accuracy"] <= 1
    network = yaml.safe_load((run / "config.yaml").read_text())["model"]["network"]
    assert network["init_args"]["checkpoints"] == [str(path) for path in two]
    assert network["init_args"]["views"] == 2
    assert not (tmp_path / "tiny-glyphs").exists()


def test_what_makes_no_ensemble_is_refused(two, best, tmp_path, capsys):
    with pytest.raises(UserError, match="one or more checkpoints and views, not 0 and 1"):
        Ensemble([])
    assert main(["evaluate", "--checkpoint", str(two[0]), "--views", "0", "--runs", str(tmp_path)]) == 2
    assert "not 1 and 0" in capsys.readouterr().err
    assert main(["evaluate", "--checkpoint", str(two[0]), str(best), "--runs", str(tmp_path)]) == 2
    assert "Euclidean" in capsys.readouterr().err
    other = tmp_path / "other.ckpt"
    content = torch.load(two[1], weights_only=True)
    config = yaml.safe_load(content["siamese"]["config"])
    config["data"]["source"]["init_args"]["seed"] = 5
    content["siamese"]["config"] = yaml.safe_dump(config)
    torch.save(content, other)
    assert main(["evaluate", "--checkpoint", str(two[0]), str(other), "--runs", str(tmp_path)]) == 2
    assert "other.ckpt was trained on other data" in capsys.readouterr().err

"""Networks that teach another one: what is taught, whom it changes, and what of it a checkpoint says."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from pytorch_metric_learning.losses import SupConLoss
from torch import nn

from siamese.__main__ import main
from siamese.errors import UserError
from siamese.losses import Contrastive, MetricLearning
from siamese.networks import Committee, Compact
from siamese.sampling.seeds import generator
from siamese.systems import Siamese
from siamese.systems.data import Batch
from siamese.systems.distillation import Distillation
from tests.test_ensemble import SUPCON, trained

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def images() -> torch.Tensor:
    return torch.rand(6, 1, 16, 16, generator=generator(0))


def student(distillation: Distillation | None, network: nn.Module | None = None) -> Siamese:
    torch.manual_seed(1)
    return Siamese(
        network or Compact((4,), 8, image_size=16), MetricLearning(SupConLoss()), distillation=distillation
    ).train()


def teacher() -> nn.Module:
    torch.manual_seed(2)
    return Compact((4,), 12, image_size=16)


def test_the_loss_is_the_divergence_of_what_images_are_to_each_other():
    ours, theirs = (torch.randn(5, size, generator=generator(size)) for size in (3, 4))
    expected = 0.0
    for row in range(5):
        others = [other for other in range(5) if other != row]
        student, teach = (
            torch.stack([F.cosine_similarity(found[row], found[other], dim=0) for other in others]).div(0.2).softmax(0)
            for found in (ours, theirs)
        )
        expected += float((teach * (teach / student).log()).sum()) / 5
    assert expected > 0.1
    distillation = Distillation(nn.Identity(), temperature=0.2)
    assert float(distillation.loss(ours, theirs)) == pytest.approx(expected, rel=1e-5)
    turned = torch.linalg.qr(torch.randn(4, 4, generator=generator(0))).Q
    assert float(distillation.loss(3 * theirs @ turned, theirs)) == pytest.approx(0, abs=1e-6)


def test_a_student_comes_to_see_as_its_teacher_who_stays_as_he_was():
    known = teacher()
    system = student(Distillation(known))
    before = {name: value.clone() for name, value in known.state_dict().items()}
    batch = Batch(images(), "train", LABELS)
    optimizer = torch.optim.Adam(system.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = system._loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert all(torch.equal(value, before[name]) for name, value in known.state_dict().items())
    assert all(name.startswith("network.") for name in system.state_dict())


def test_the_share_is_of_what_is_taught():
    batch = Batch(images(), "train", LABELS)
    losses = {share: student(Distillation(teacher(), share))._loss(batch).item() for share in (0.25, 1.0)}
    own = student(None)._loss(batch).item()
    assert losses[0.25] == pytest.approx(0.25 * losses[1.0] + 0.75 * own, rel=1e-5)
    assert abs(own - losses[1.0]) > 0.01
    validated = student(Distillation(teacher())).eval()
    assert validated._loss(batch).item() == pytest.approx(student(None).eval()._loss(batch).item())


def test_each_member_of_a_committee_is_taught():
    committee = Committee(Compact((4,), 8, image_size=16), 2)
    distillation = Distillation(teacher())
    system = student(distillation, committee)
    seen = distillation.seen(images())
    each = [distillation.loss(one, seen).item() for one in committee(images())]
    assert system._loss(Batch(images(), "train", LABELS)).item() == pytest.approx(sum(each) / 2, rel=1e-4)


@pytest.mark.parametrize(("share", "temperature"), [(0.0, 0.1), (1.1, 0.1), (0.5, 0.0)])
def test_other_shares_and_temperatures_are_refused(share, temperature):
    with pytest.raises(UserError, match="a share above 0"):
        Distillation(teacher(), share, temperature)


def test_a_student_whose_distances_are_not_cosines_is_refused():
    with pytest.raises(UserError, match="teaches cosines, and Contrastive Euclidean"):
        Siamese(Compact((4,), 8, image_size=16), Contrastive(), distillation=Distillation(teacher()))


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[Path]:
    return [trained(tmp_path_factory.mktemp("runs"), "--seed_everything", seed, *SUPCON) for seed in ("0", "1")]


def test_distil_leaves_one_network_that_says_who_taught_it(two, tmp_path):
    copies = [tmp_path / f"{number}.ckpt" for number in range(2)]
    for path, copy in zip(two, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    runs = tmp_path / "runs"
    options = ["--seed_everything", "2", "--runs", str(runs), "--model.distillation.temperature", "0.3"]
    assert main(["distil", "--checkpoint", *map(str, copies), "--views", "2", *options]) == 0
    (run,) = (runs / "tiny-distilled-glyphs").glob("2*")
    results = json.loads((run / "results.json").read_text())
    assert (results["trained_on"], results["teachers"], results["seed"]) == ("glyphs", 2, 2)
    assert "glyphs, distilled from 2 networks" in (run / "report.html").read_text()
    teaches = yaml.safe_load((run / "config.yaml").read_text())["model"]["distillation"]["init_args"]
    assert (teaches["share"], teaches["temperature"]) == (1.0, 0.3)
    assert teaches["teacher"]["init_args"]["checkpoints"] == [str(copy) for copy in copies]
    assert teaches["teacher"]["init_args"]["views"] == 2
    best = run / "checkpoints" / "best.ckpt"
    content, first = torch.load(best, weights_only=True), torch.load(two[0], weights_only=True)
    assert content["state_dict"].keys() == first["state_dict"].keys()
    assert [each["classes"] for each in content["siamese"]["before"]] == [first["siamese"]["classes"]] * 2
    for copy in copies:
        copy.unlink()
    assert main(["evaluate", "--checkpoint", str(best), "--runs", str(tmp_path / "again")]) == 0
    (again,) = (tmp_path / "again" / "tiny-distilled-glyphs").glob("*-test/results.json")
    assert json.loads(again.read_text())["one_shot"] == results["one_shot"]


def test_a_teacher_knows_nothing_of_what_chooses_or_reports(two, tmp_path, capsys):
    content = torch.load(two[0], weights_only=True)
    taught = content["siamese"]["classes"]
    known, runs = tmp_path / "known.ckpt", tmp_path / "runs"
    for name, use in (("Glyphs-05/character01", "choose the checkpoint"), ("Glyphs-06/character01", "be tested")):
        torch.save(content | {"siamese": content["siamese"] | {"classes": [*taught, name]}}, known)
        assert main(["distil", "--checkpoint", str(two[1]), str(known), "--runs", str(runs)]) == 2
        told = f"a teacher, or the network to start with, was taught 1 of the classes that are to {use}, for instance {name}"
        assert told in capsys.readouterr().err
    # What a teacher was taught, so was its student.
    before = [{"dataset": "glyphs", "classes": [name], "fingerprint": content["siamese"]["fingerprint"]}]
    torch.save(content | {"siamese": content["siamese"] | {"before": before}}, known)
    assert main(["evaluate", "--checkpoint", str(known), "--runs", str(runs)]) == 2
    assert "the network was taught 1 of the classes that are to be tested" in capsys.readouterr().err
    assert main(["distil", "--checkpoint", str(known), "--runs", str(runs)]) == 2
    assert (
        "a teacher, or the network to start with, was taught 1 of the classes that are to be tested"
        in capsys.readouterr().err
    )
    assert not any(runs.glob("*distilled*"))


def test_a_teacher_sees_images_of_the_same_size(two, tmp_path, capsys):
    arguments = ["distil", "--checkpoint", str(two[0]), "--runs", str(tmp_path), "--data.image_size", "35"]
    assert main(arguments) == 2
    assert (
        "a teacher, or the network to start with, sees images of 28 pixels a side; give data.image_size 28"
        in capsys.readouterr().err
    )

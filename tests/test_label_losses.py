"""Losses of several labels an image against numbers worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese.errors import UserError
from siamese.losses import (
    AsymmetricLabels,
    Binary,
    BinaryLabels,
    CategoricalLabels,
    Contrastive,
    FocalLabels,
    LabelLoss,
    PartLabels,
    Softmax,
    SquaredLabels,
)
from siamese.networks import Compact
from siamese.similarity import Cosine, WeightedL1
from siamese.systems import Siamese
from siamese.systems.data import Batch

# Probabilities 1/2, 1/5 and 9/10; the first and the second label are there.
LOGITS = torch.tensor([[0.0, math.log(1 / 4), math.log(9)]])
TARGETS = torch.tensor([[True, True, False]])
ALL = [
    BinaryLabels(3, 4), CategoricalLabels(3, 4), SquaredLabels(3, 4), FocalLabels(3, 4), FocalLabels(3, 4, 0.5, 0.25),
    AsymmetricLabels(3, 4), AsymmetricLabels(3, 4, 0.5, 0.5, 0.0), AsymmetricLabels(3, 4, 1.0, 0.5, 0.2),
]  # fmt: skip
KNOWN = [*ALL, PartLabels(3, 4, parts=2)]
EVERY = pytest.mark.parametrize("loss", KNOWN, ids=lambda loss: type(loss).__name__)
EACH = pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)


def value(loss: LabelLoss, logits: Tensor, targets: Tensor) -> float:
    return float(loss.each(logits.double(), targets.double()).mean())


def test_binary_cross_entropy_by_hand():
    """Minus the logarithms of what is true: 1/2, 1/5 and 1/10."""
    assert value(BinaryLabels(3, 4), LOGITS, TARGETS) == pytest.approx(math.log(2 * 5 * 10))


def test_squared_error_by_hand():
    assert value(SquaredLabels(3, 4), LOGITS, TARGETS) == pytest.approx(0.5**2 + 0.8**2 + 0.9**2)


def test_categorical_cross_entropy_by_hand():
    """Of a softmax over 1, 1/4 and 9: minus the logarithms of the two that are there."""
    first, second = 1 / 10.25, 0.25 / 10.25
    assert value(CategoricalLabels(3, 4), LOGITS, TARGETS) == pytest.approx(-math.log(first) - math.log(second))


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (1.0, 0.25), (0.5, 0.75), (0.0, 0.5)])
def test_focal_loss_by_hand(gamma, alpha):
    """``(1 - p)^gamma`` of what is true, p of 1/2, 1/5 and 1/10."""
    there, absent = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    expected = there * 0.5**gamma * math.log(2) + there * 0.8**gamma * math.log(5) + absent * 0.9**gamma * math.log(10)
    assert value(FocalLabels(3, 4, gamma, alpha), LOGITS, TARGETS) == pytest.approx(expected)


@pytest.mark.parametrize(("positive", "negative", "margin"), [(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (2.0, 1.0, 0.0)])
def test_asymmetric_loss_by_hand(positive, negative, margin):
    """A label that is not there has its probability, 9/10, taken for ``margin`` less."""
    shifted = 0.9 - margin
    expected = 0.5**positive * math.log(2) + 0.8**positive * math.log(5) - shifted**negative * math.log(1 - shifted)
    loss = AsymmetricLabels(3, 4, positive, negative, margin)
    assert value(loss, LOGITS, TARGETS) == pytest.approx(expected)


def test_what_is_less_likely_than_the_margin_is_left_alone():
    logits = torch.tensor([[math.log(1 / 19), math.log(1 / 24), -9.0]], requires_grad=True)  # 0.05, 0.04 and less
    found = AsymmetricLabels(3, 4, margin=0.0501).each(logits, torch.zeros(1, 3))
    found.sum().backward()
    assert found.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", [FocalLabels(5, 4, gamma=0.0), AsymmetricLabels(5, 4, 0.0, 0.0, 0.0)], ids=["f", "a"])
@pytest.mark.parametrize("spread", [1.0, 10.0, 50.0])
def test_without_a_focus_it_is_binary_cross_entropy(loss, spread):
    draw = torch.Generator().manual_seed(0)
    logits = (spread * torch.randn(40, 5, generator=draw)).requires_grad_()
    targets = torch.rand(40, 5, generator=draw).round()
    plain = BinaryLabels(5, 4).each(logits, targets)
    torch.testing.assert_close(loss.each(logits, targets), plain)
    (expected,) = torch.autograd.grad(plain.sum(), logits)
    (found,) = torch.autograd.grad(loss.each(logits, targets).sum(), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("there", [1, 2, 4, 7])
def test_the_least_categorical_loss_is_k_log_k_at_a_kth_each(there):
    """A softmax has one unit to give away: of k labels that are there none can have more than its share."""
    loss, targets = CategoricalLabels(7, 4), (torch.arange(7) < there).double().unsqueeze(0)
    logits = torch.randn(1, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(600):
        optimizer.zero_grad()
        loss.each(logits, targets).sum().backward()
        optimizer.step()
    assert loss.each(logits, targets).item() == pytest.approx(there * math.log(there), abs=1e-3)
    assert loss.each(logits, targets).item() >= there * math.log(there) - 1e-9
    torch.testing.assert_close(loss.probabilities(logits.detach()), targets / there, atol=1e-3, rtol=0)


def test_probabilities_are_each_by_itself_but_those_of_a_softmax():
    for loss in (BinaryLabels(3, 4), SquaredLabels(3, 4), FocalLabels(3, 4), AsymmetricLabels(3, 4)):
        torch.testing.assert_close(loss.probabilities(LOGITS), torch.tensor([[0.5, 0.2, 0.9]]))
    torch.testing.assert_close(CategoricalLabels(3, 4).probabilities(LOGITS), LOGITS.softmax(1))


@EACH
def test_downhill_is_up_for_labels_that_are_there_and_down_for_the_others(loss):
    logits = LOGITS.clone().requires_grad_()
    loss.each(logits, TARGETS.float()).sum().backward()
    assert (logits.grad[TARGETS] < 0).all()
    assert (logits.grad[~TARGETS] > 0).all()


@EACH
@pytest.mark.parametrize("size", [20.0, 90.0, 1e4])
def test_extreme_logits_have_finite_losses_and_gradients(loss, size):
    """Wholly right, wholly wrong, and all that is between, of which one is left of the numbers a float has."""
    logits = (size * torch.tensor([[1, 1, -1], [-1, -1, 1], [1, -1, 0], [-1, 1, -1.0]])).requires_grad_()
    targets = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0.0]])
    found = loss.each(logits, targets)
    found.sum().backward()
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert logits.grad.isfinite().all()


@EACH
def test_gradients_are_those_of_the_values(loss):
    draw = torch.Generator().manual_seed(1)
    logits = (3 * torch.randn(6, 3, dtype=torch.float64, generator=draw)).requires_grad_()
    targets = torch.rand(6, 3, generator=draw).round().double()
    assert torch.autograd.gradcheck(lambda given: loss.each(given, targets), logits)


@EACH
def test_descending_the_loss_tells_labels(loss):
    """Even the softmax, wrong as it is, ranks labels that are there before those that are not."""
    draw = torch.Generator().manual_seed(0)
    embeddings = torch.randn(12, 4, generator=draw).requires_grad_()
    targets = torch.tensor([[0, 0, 1], [0, 1, 0], [1, 1, 0], [1, 0, 1]]).bool().repeat(3, 1)
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss(Cosine(), embeddings, targets).backward()
        optimizer.step()
    said = loss.probabilities(loss.logits(embeddings))
    lowest, highest = said.masked_fill(~targets, 2).amin(1), said.masked_fill(targets, -1).amax(1)
    assert (lowest > highest).all()


@EACH
def test_the_loss_of_a_batch_is_the_mean_over_its_images(loss):
    embeddings = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]]).bool()
    whole = loss(Cosine(), embeddings, targets)
    each = [
        loss(Cosine(), one.unsqueeze(0), there.unsqueeze(0)) for one, there in zip(embeddings, targets, strict=True)
    ]
    assert whole.ndim == 0
    torch.testing.assert_close(whole, torch.stack(each).mean())
    assert loss.logits(embeddings).shape == (5, 3)


@EVERY
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.tensor([0, 1]), "has one class an image"),
        (torch.zeros(2, 4, dtype=torch.bool), "has 4"),
        (torch.zeros(2, 2, dtype=torch.bool), "has 2"),
    ],
)
def test_labels_that_it_does_not_know_are_told(loss, labels, said):
    with pytest.raises(UserError, match=rf"{type(loss).__name__} tells 3 labels of an image; the data {said}"):
        loss(Cosine(), torch.zeros(2, 4), labels)


@EACH
def test_under_autocast_only_the_linear_layer_is_in_bfloat16(loss):
    draw = torch.Generator().manual_seed(0)
    embeddings = torch.randn(6, 4, generator=draw)
    targets = torch.rand(6, 3, generator=draw) < 0.5
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(Cosine(), embeddings, targets)
        assert loss.logits(embeddings).dtype == torch.bfloat16
    found.backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(Cosine(), embeddings, targets), atol=0.02, rtol=0.02)
    assert loss.linear.weight.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        logits = F.linear(embeddings, loss.linear.weight, loss.linear.bias).float()
    torch.testing.assert_close(found, loss.each(logits, targets.float()).mean())


@pytest.mark.parametrize("options", [{"positive": -1.0}, {"negative": -0.5}, {"margin": -0.1}])
def test_exponents_and_margins_below_zero_are_refused(options):
    with pytest.raises(UserError, match="at least 0"):
        AsymmetricLabels(3, 4, **options)


def test_options_are_not_ignored():
    variants = [
        FocalLabels(3, 4), FocalLabels(3, 4, 1.0), FocalLabels(3, 4, 2.0, 0.3), AsymmetricLabels(3, 4),
        AsymmetricLabels(3, 4, positive=1.0), AsymmetricLabels(3, 4, negative=2.0), AsymmetricLabels(3, 4, margin=0.2),
    ]  # fmt: skip
    values = [round(value(loss, LOGITS, TARGETS), 6) for loss in variants]
    assert len(set(values)) == len(variants)


def test_embeddings_are_compared_by_their_angle_which_needs_no_learning():
    loss = BinaryLabels(3, 4)
    assert isinstance(loss.similarity(4), Cosine)
    assert loss.teaches(Cosine())
    with pytest.raises(UserError, match="does not teach WeightedL1"):
        Siamese(Compact((4,), 4, image_size=8), loss, WeightedL1(4))


@pytest.mark.parametrize("loss", [Softmax(3, 4), Contrastive(), Binary()], ids=lambda loss: type(loss).__name__)
def test_losses_of_one_class_an_image_refuse_several_labels(loss):
    system = Siamese(Compact((4,), 4, image_size=8), loss)
    batch = Batch(torch.rand(5, 1, 8, 8), "train", torch.rand(5, 3) < 0.5)
    with pytest.raises(UserError, match=rf"{type(loss).__name__} takes images of one class each.*BinaryLabels"):
        system._loss(batch)


@pytest.mark.parametrize(("gamma", "alpha"), [(-1.0, None), (2.0, 1.5), (2.0, -0.5)])
def test_a_focus_that_would_reward_mistakes_is_refused(gamma, alpha):
    with pytest.raises(UserError, match="gamma is at least 0 and alpha a share"):
        FocalLabels(3, 4, gamma, alpha)


@pytest.mark.parametrize("loss", [*KNOWN, Softmax(3, 4)], ids=lambda loss: type(loss).__name__)
def test_embeddings_of_another_size_are_told_before_anything_is_trained(loss):
    Siamese(Compact((2,), 4, image_size=16), loss)
    with pytest.raises(
        UserError, match=rf"{type(loss).__name__} takes embeddings of 4 numbers, and those of Compact have 5"
    ):
        Siamese(Compact((2,), 5, image_size=16), loss)


@pytest.mark.parametrize(
    "loss",
    [BinaryLabels(6, 4), CategoricalLabels(6, 4), PartLabels(6, 8, parts=2)],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize("true", [0.25, 1.0, 4.0])
def test_calibrated_the_temperature_is_that_of_the_truth(loss, true):
    """Labels are drawn with the probabilities that the loss gives at a temperature, and this is found again."""
    draw = torch.Generator().manual_seed(0)
    embeddings = 4 * torch.randn(6000, loss.embedding_size, generator=draw)
    loss.temperature.fill_(true)
    with torch.no_grad():
        said = loss.probabilities(loss.logits(embeddings))
        before = loss(loss.similarity(4), embeddings[:9], torch.arange(6).expand(9, 6) < 2)
    targets = torch.rand(said.shape, generator=draw) < said
    loss.calibrate(embeddings, targets)
    assert loss.temperature.item() == pytest.approx(true, rel=0.1)
    after = loss(loss.similarity(4), embeddings[:9], torch.arange(6).expand(9, 6) < 2)
    assert torch.equal(before, after), "it teaches without one"
    assert "temperature" in loss.state_dict()

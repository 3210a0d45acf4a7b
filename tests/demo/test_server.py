"""What the demo's server answers."""

import dataclasses
import io

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from siamese.datasets.pictures import Preprocessing
from siamese.demo.alphabet import OneShot, Support
from siamese.demo.app import create_app
from siamese.demo.digits import Digits
from siamese.demo.parts import Part
from siamese.errors import UserError
from siamese.losses import Softmax
from siamese.model import Model
from siamese.networks import Compact
from siamese.systems import Siamese
from tests.demo.asked import sentence, taught, url
from tests.demo.hand import served
from tests.demo.hand_drawn import DIGITS, OTHERS


def test_the_class_probabilities_are_the_softmax_of_what_the_loss_thinks(one_shot, tmp_path):
    system = Siamese(Compact([4, 4], 8, image_size=28), Softmax(10, 8))
    model = Model(tmp_path, system, Preprocessing(28, 28), 28, "mnist")
    embeddings = torch.randn(5, 8)
    expected = system.loss.linear(embeddings).double().softmax(1)
    torch.testing.assert_close(model.class_probabilities(embeddings), expected)
    assert one_shot.model.class_probabilities(torch.randn(5, 16)) is None, "Contrastive knows no classes"


def test_digits_are_read_by_a_model_of_ten_classes_and_by_no_other(one_shot, tmp_path, monkeypatch):
    monkeypatch.setenv("SIAMESE_DATA", str(tmp_path))
    monkeypatch.delenv("SIAMESE_MIRROR", raising=False)
    monkeypatch.setattr("siamese.datasets.registry._download", lambda *_: None)
    system = Siamese(Compact([4, 4], 8, image_size=28), Softmax(10, 8))
    digits = Digits(Model(tmp_path, system, Preprocessing(28, 28), 28, "mnist", device="cpu"))
    assert digits.about()["note"].startswith(
        "Nothing can be refused, because MNIST's training digits are not here: mnist:"
    )
    told = digits.read(DIGITS[3])
    assert told["refused"] is told["factor"] is told["most"] is None
    assert len(told["top"]) == 3 and {each["digit"] for each in told["top"]} <= set("0123456789")
    chances = [each["probability"] for each in told["top"]]
    assert chances == sorted(chances, reverse=True) and sum(chances) <= 1
    with pytest.raises(UserError, match="was trained on fashion-mnist and does not name MNIST's ten digits"):
        Digits(Model(tmp_path, system, Preprocessing(28, 28), 28, "fashion-mnist", device="cpu"))
    with pytest.raises(UserError, match="`make train-mnist` makes one"):
        Digits(one_shot.model)


def test_the_best_support_names_and_several_of_one_name_are_one_symbol(client, one_shot):
    supports = [*taught("star", "house"), {"name": "house", "strokes": OTHERS["heart"]}]
    told = client.post("/api/alphabet", json={"supports": supports, "probe": OTHERS["heart"]}).json()
    assert told["name"] == "house"
    scores = [each["score"] for each in told["supports"]]
    assert scores[2] == max(scores) == pytest.approx(0, abs=1e-3), "Euclidean: a drawing and itself"
    expected = one_shot.model.verify(*(one_shot.picture(OTHERS[name]) for name in ("heart", "star")))
    assert scores[0] == pytest.approx(expected.score, abs=1e-4)
    assert told["supports"][0]["probability"] == pytest.approx(expected.probability, abs=1e-4)
    assert told["threshold"] == expected.threshold


def test_below_the_threshold_it_is_none_of_these(one_shot):
    strict = OneShot(one_shot.model)
    strict.point = dataclasses.replace(strict.point, threshold=0.5)  # above every Euclidean similarity
    told = strict.name([Support("a", OTHERS["star"]), Support("b", OTHERS["heart"])], OTHERS["star"])
    assert told["name"] is None and len(told["supports"]) == 2


def test_an_alphabet_has_two_to_twenty_symbols(client):
    few = client.post("/api/alphabet", json={"supports": taught("star", "star"), "probe": OTHERS["star"]})
    assert sentence(few, 422) == "An alphabet here has 2 to 20 symbols, not 1."
    many = [{"name": f"symbol {n}", "strokes": OTHERS["star"]} for n in range(21)]
    assert "not 21" in sentence(client.post("/api/alphabet", json={"supports": many, "probe": OTHERS["star"]}), 422)
    assert client.post("/api/alphabet", json={"supports": many[:20], "probe": OTHERS["star"]}).status_code == 200


def test_pairs_of_drawings_and_images_get_the_verdict(client, one_shot):
    image = np.full((50, 60), 255, np.uint8)
    image[10:40, 20:25] = 0
    written = io.BytesIO()
    Image.fromarray(image).save(written, "PNG")
    told = client.post(
        "/api/pair", json={"first": {"image": url(written.getvalue())}, "second": {"strokes": OTHERS["star"]}}
    )
    expected = one_shot.model.verify(image, one_shot.picture(OTHERS["star"]))
    answer = told.json()
    assert answer.pop("notes") == []
    assert answer == pytest.approx(dataclasses.asdict(expected), abs=1e-4)


def test_a_network_of_glyphs_says_so(client):
    about = client.get("/api/state").json()["one_shot"]
    assert about["note"] == "This network was trained on generated glyphs: it has seen no real character."
    assert about["state"] == "ready" and "validation classes" in about["threshold_from"]


def test_what_is_missing_or_not_ready_is_told(one_shot, capsys):
    def crash():
        raise RuntimeError("the file is full of holes")

    waiting, crashed = Part("Digits", lambda: None), Part("One-shot network", crash)
    crashed.prepare()
    with served(create_app(waiting, crashed)) as address, httpx.Client(base_url=address) as client:
        drawn = {"strokes": OTHERS["star"]}
        assert (
            sentence(client.post("/api/digit", json=drawn), 503) == "Digits: getting ready; this takes a few seconds."
        )
        said = sentence(client.post("/api/pair", json={"first": drawn, "second": drawn}), 503)
        assert said == "It could not be loaded (RuntimeError: the file is full of holes)."
        assert client.get("/api/state").json()["digits"]["state"] == "preparing"
        assert client.get("/").status_code == 200


def test_a_mistake_of_the_server_is_a_sentence_too(client, monkeypatch):
    monkeypatch.setattr(OneShot, "compare", lambda *_: 1 / 0)
    drawn = {"strokes": OTHERS["star"]}
    said = sentence(client.post("/api/pair", json={"first": drawn, "second": drawn}), 500)
    assert said == "The server has made a mistake; its terminal says more."

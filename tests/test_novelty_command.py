"""``novelty`` with a real checkpoint: what it says, draws and exits with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import LocalOutlierFactor

from siamese.__main__ import main
from siamese.datasets.glyphs import Glyphs
from siamese.model import Model


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Path:
    """Sixty characters, dark ink on light paper, in folders."""
    folder, table = tmp_path_factory.mktemp("images") / "my characters", Glyphs(6, (6, 6), 6, 28).load()
    for row in range(60):
        to = folder / f"{row // 6}" / f"no {row}.png"
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - table.images[row, 0].numpy()).save(to)
    return folder


@pytest.fixture
def strange(tmp_path) -> Path:
    """Three images that are no characters, in a folder of its own."""
    folder = tmp_path / "王 芳" / "deeper"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(3):
        noise = draw.integers(256, size=(28, 28, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"Žofie {number}.png")
    return folder.parent


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    capsys.readouterr()
    try:
        code = main(["novelty", *map(str, arguments)])
    except SystemExit as stop:  # argparse exits by itself
        code = int(str(stop.code))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


@pytest.mark.parametrize("detector", ["lof", "knn"])
def test_strange_images_are_novel_and_known_ones_are_not(detector, best, known, strange, capsys):
    options = ("--model", best, "--known", known, "--detector", detector, "--contamination", 0.02)
    code, out, err = call(capsys, *options, "--probe", strange)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0].split() == ["probe", "score", "threshold"]
    assert len(lines) == 1 + 3 + 2
    assert all("novel" in line and "Žofie" in line for line in lines[1:4])
    assert lines[4] == "3 images: 0 known, 3 novel"
    assert "2 % of 60 known images score below the threshold" in lines[5]
    code, out, _ = call(capsys, *options, "--probe", known / "3")
    assert code == 0, "each of them is its own nearest neighbour"
    assert "6 images: 6 known, 0 novel" in out


@pytest.mark.parametrize("features", [True, False])
def test_as_json_it_is_what_scikit_learn_says(features, best, known, strange, capsys):
    options = ["--json", "--contamination", "0.1", *([] if features else ["--embeddings"])]
    code, out, _ = call(capsys, "--model", best, "--known", known, "--probe", strange, known / "1", *options)
    told = json.loads(out)
    model = Model.load(best, "cpu")

    def vectors(files) -> np.ndarray:
        return model.embed_files([str(file) for file in files], features)[0].numpy()

    embedded = vectors(sorted(known.rglob("*.png")))
    assert embedded.shape == (60, model.feature_size if features else model.embedding_size)
    theirs = LocalOutlierFactor(20, algorithm="brute", novelty=True, contamination=0.1).fit(embedded)
    probes = vectors(each["file"] for each in told["probes"])
    np.testing.assert_allclose([each["score"] for each in told["probes"]], theirs.score_samples(probes), rtol=1e-3)
    assert [each["novel"] for each in told["probes"]] == (theirs.predict(probes) == -1).tolist()
    assert told["threshold"] == pytest.approx(theirs.offset_, rel=1e-3)
    assert (code, told["vectors"]) == (1, "features" if features else "embeddings")
    assert {key: told[key] for key in ("schema", "command", "detector", "neighbours", "contamination", "known")} == {
        "schema": 1, "command": "novelty", "detector": "lof", "neighbours": 20, "contamination": 0.1, "known": 60,
    }  # fmt: skip
    assert told["model"] == model.fingerprint and told["broken"] == []


def test_broken_images_are_named_left_out_and_counted_and_the_rest_is_drawn(best, known, strange, tmp_path, capsys):
    (strange / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    (strange / "notes.txt").write_text("no image")
    sheet = tmp_path / "sheets" / "out.png"
    options = ("--model", best, "--known", known, "--probe", strange, "--plot", sheet)
    code, out, err = call(capsys, *options)
    assert code == 1
    assert "3 images: 0 known, 3 novel, 2 left out" in out
    assert err.count("left out") == 2 and "broken.png" in err and "notes.txt" in err
    with Image.open(sheet) as drawn:
        assert min(drawn.size) > 200
    told = json.loads(call(capsys, *options, "--json")[1])
    assert sorted(Path(each["file"]).name for each in told["broken"]) == ["broken.png", "notes.txt"]


def test_whatever_is_wrong_is_told_in_a_sentence_with_exit_code_2(best, known, strange, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"half")
    given = {"--model": best, "--known": known, "--probe": strange}
    for sentence, changed in {
        "novelty takes at least 21 known images": {"--known": known / "3"},
        "6 of 6 in": {"--known": known / "3"},
        "none of the images of": {"--probe": broken},
        "there is no file or folder": {"--probe": tmp_path / "nowhere"},
        "there is no checkpoint": {"--model": tmp_path / "no.ckpt"},
        "invalid share above 0 and up to 0.5 value: '0.7'": {"--contamination": 0.7},
        "invalid choice: 'svm'": {"--detector": "svm"},
    }.items():
        arguments = [part for pair in (given | changed).items() for part in pair]
        code, out, err = call(capsys, *arguments)
        assert (code, out) == (2, ""), sentence
        assert sentence in err


def test_help_gives_an_example_and_the_exit_codes(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert "example:\n  python -m siamese novelty" in out and "exit code: 0 all are known" in out


def test_the_program_writes_nothing_but_json_to_standard_output(best, known, strange):
    command = [
        sys.executable,
        "-m",
        "siamese",
        "novelty",
        "--json",
        "--model",
        best,
        "--known",
        known,
        "--probe",
        strange,
    ]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 1, done.stderr
    assert len(json.loads(done.stdout)["probes"]) == 3

"""The commands for one's own images, with a real checkpoint: what they say, write and exit with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from siamese.__main__ import main
from siamese.datasets.glyphs import Glyphs
from siamese.gallery import Gallery
from siamese.model import Model


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Three images each of four characters, dark ink on light paper, one folder a character."""
    folder, table = tmp_path_factory.mktemp("images") / "my characters", Glyphs(6, (6, 6), 6, 28).load()
    for label, name in enumerate(["alef", "Žofie", "王 芳", "d"]):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(table.images[table.labels == label][:3]):
            Image.fromarray(255 - image[0].numpy()).save(folder / name / f"no {number}.png")
    return folder


@pytest.fixture
def people(drawn, tmp_path) -> Path:
    """The images, to be changed at will."""
    return Path(shutil.copytree(drawn, tmp_path / "my characters"))


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse exits by itself
        code = int(str(stop.code))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_verify_says_same_or_different_with_its_reasons(best, people, capsys):
    first, second = people / "alef" / "no 0.png", people / "d" / "no 1.png"
    code, out, _ = call(capsys, "verify", "--model", best, first, first)
    assert code == 0
    assert out.startswith("same: probability ")
    assert "at least the threshold" in out
    assert "validation classes of glyphs" in out
    code, out, _ = call(capsys, "verify", "--model", best, first, second, "--threshold", "-0.000000001")
    assert code == 1
    assert out.startswith("different: ")
    assert "given with the question" in out


def test_verify_as_json(best, people, capsys):
    images = [people / "alef" / "no 0.png", people / "d" / "no 1.png"]
    code, out, _ = call(capsys, "verify", "--model", best, *images, "--json")
    told, verdict = json.loads(out), Model.load(best, "cpu").verify(*images)
    expected = {
        "schema": 1,
        "command": "verify",
        "images": list(map(str, images)),
        "model": Model.load(best).fingerprint,
    }
    assert told == expected | vars(verdict)
    assert code == (0 if told["same"] else 1)


def test_enrolling_again_adds_only_what_is_new(best, people, tmp_path, capsys):
    path = tmp_path / "my people.gallery"
    enroll = ("enroll", "--model", best, "--gallery", path)
    (people / "d" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    code, out, err = call(capsys, *enroll, people)
    assert code == 0
    assert out.splitlines() == [
        "added 12 images, 0 were there already, 1 left out",
        f"{path} holds 12 images of 4 names",
    ]
    assert err.count("left out") == 1
    assert "broken.png" in err
    code, out, _ = call(capsys, *enroll, people, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["added"], told["known"], told["entries"], told["names"]) == (0, 12, 12, 4)
    assert [Path(each["file"]).name for each in told["broken"]] == ["broken.png"]
    assert told["broken"][0]["reason"]
    code, out, _ = call(capsys, *enroll, people / "d" / "no 0.png", "--name", "Dora", "--no-thumbnails")
    assert "added 1 images" in out
    assert call(capsys, "gallery", "info", path, "--json")[1].count('"thumbnails": 12') == 1


def test_identify_for_people_for_programs_and_as_a_picture(best, people, tmp_path, capsys):
    path, sheet = tmp_path / "people.gallery", tmp_path / "sheets" / "out.png"
    call(capsys, "enroll", "--model", best, "--gallery", path, people)
    probe = tmp_path / "who is it.png"
    shutil.move(people / "王 芳" / "no 1.png", probe)
    shutil.rmtree(people)  # the gallery needs no images
    identify = ("identify", "--model", best, "--gallery", path, probe)
    code, out, _ = call(capsys, *identify, "--top", "3", "--plot", sheet)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:3] == ["probe", "name", "score"]
    assert lines[1].startswith(str(probe))
    assert "known  王 芳" in lines[1]
    assert len(lines) == 1 + 3 + 2
    assert lines[-1] == "1 images: 1 known, 0 unknown"
    with Image.open(sheet) as drawn:
        assert min(drawn.size) > 200
    (tmp_path / "broken.png").write_bytes(b"")
    code, out, err = call(capsys, *identify, tmp_path / "broken.png", "--json", "--threshold", "1e9")
    told = json.loads(out)
    assert code == 1
    assert "broken.png" in err
    assert [Path(each["file"]).name for each in told["broken"]] == ["broken.png"]
    assert told["threshold"] == 1e9
    (found,) = told["probes"]
    assert (found["file"], found["known"], len(found["matches"])) == (str(probe), False, 4)
    assert set(found["matches"][0]) == {"name", "score", "probability", "file"}
    assert found["matches"][0]["file"] == "王 芳/no 1.png"
    scores = [match["score"] for match in found["matches"]]
    assert scores == sorted(scores, reverse=True)


def test_scores_of_identify_are_those_of_verify(best, people, tmp_path):
    model = Model.load(best, "cpu")
    gallery = Gallery(tmp_path / "g", model)
    gallery.enroll(people)
    for probe in gallery.identify(people / "alef"):
        for match in probe.matches:
            verdict = model.verify(probe.file, people / match.file)
            assert match.score == pytest.approx(verdict.score, abs=1e-6)
            assert match.probability == pytest.approx(verdict.probability, abs=1e-5)


def test_listing_and_removing(best, people, tmp_path, capsys):
    path = tmp_path / "people.gallery"
    call(capsys, "enroll", "--model", best, "--gallery", path, people)
    code, out, _ = call(capsys, "gallery", "list", path)
    assert code == 0
    assert out.splitlines()[1:4] == ["alef   alef/no 0.png", "       alef/no 1.png", "       alef/no 2.png"]
    names = json.loads(call(capsys, "gallery", "list", path, "--json")[1])["names"]
    assert {each["name"]: len(each["files"]) for each in names} == {"alef": 3, "Žofie": 3, "王 芳": 3, "d": 3}
    code, out, _ = call(capsys, "gallery", "remove", path, "--name", "王 芳")
    assert (code, out) == (0, f"removed 3 images; {path} holds 9\n")
    told = json.loads(call(capsys, "gallery", "remove", path, "--file", "d/no 1.png", "--json")[1])
    assert (told["removed"], told["entries"]) == (1, 8)
    told = json.loads(call(capsys, "gallery", "info", path, "--json")[1])
    assert told["model"] == Model.load(best).fingerprint
    assert (told["entries"], told["names"], told["thumbnails"], told["embedding_size"]) == (8, 3, 8, 16)
    assert told["bytes"] == path.stat().st_size
    assert "thumbnail of each image" in call(capsys, "gallery", "info", path)[1]


def test_whatever_is_wrong_is_told_in_a_sentence_with_exit_code_2(best, people, tmp_path, capsys):
    path, image = tmp_path / "people.gallery", people / "d" / "no 0.png"
    broken, text = tmp_path / "broken.png", tmp_path / "text.gallery"
    broken.write_bytes(image.read_bytes()[:60])
    text.write_text("hello")
    call(capsys, "enroll", "--model", best, "--gallery", path, people)
    given = ("--model", best, "--gallery", path)
    other = tmp_path / "other.ckpt"
    content = torch.load(best, weights_only=True)
    content["state_dict"]["network.embed.weight"] += 1
    torch.save(content, other)
    del content["siamese"]["operating_point"]
    torch.save(content, tmp_path / "undecided.ckpt")
    for sentence, arguments in {
        "broken.png": ["verify", "--model", best, image, broken],
        "there is no checkpoint": ["verify", "--model", tmp_path / "no.ckpt", image, image],
        "no threshold chosen": ["verify", "--model", tmp_path / "undecided.ckpt", image, image],
        "none of the images could be read": ["identify", *given, broken],
        "none of the images could be enrolled": ["enroll", *given, broken, "--name", "Dora"],
        "there is no file or folder": ["identify", *given, tmp_path / "nowhere.png"],
        "there is no gallery": ["identify", "--model", best, "--gallery", tmp_path / "no", image],
        "was made with another model": ["identify", "--model", other, "--gallery", path, image],
        "made with another model": ["enroll", "--model", other, "--gallery", path, people],
        "whom does": ["enroll", *given, image],
        "is no gallery": ["gallery", "list", text],
        "did you mean 'alef'": ["gallery", "remove", path, "--name", "alaf"],
        "what is to be removed": ["gallery", "remove", path],
        "Is a directory": ["gallery", "info", people],
    }.items():
        before = path.read_bytes()
        code, out, err = call(capsys, *arguments)
        assert (code, out) == (2, ""), sentence
        assert sentence in err
        assert err.splitlines()[-1].startswith("error: "), sentence
        assert path.read_bytes() == before


def program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "siamese", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def test_the_program_writes_nothing_but_json_to_standard_output(best, people, tmp_path):
    path = tmp_path / "people.gallery"
    told = []
    for arguments in (
        ["enroll", "--model", best, "--gallery", path, people],
        ["identify", "--model", best, "--gallery", path, people / "d"],
        ["gallery", "list", path],
    ):
        done = program(*arguments, "--json", LC_ALL="C", PYTHONIOENCODING="ascii")
        assert done.returncode in (0, 1), done.stderr
        told.append(json.loads(done.stdout))
    assert [each["command"] for each in told] == ["enroll", "identify", "list"]
    assert {each["name"] for each in told[2]["names"]} == {"alef", "Žofie", "王 芳", "d"}
    done = program("gallery", "list", path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u017dofie" in done.stdout


def test_a_gallery_is_listed_without_loading_torch(best, people, tmp_path, capsys):
    path = tmp_path / "people.gallery"
    call(capsys, "enroll", "--model", best, "--gallery", path, people)
    code = (
        "import sys; from siamese.__main__ import main; code = main(sys.argv[1:]);"
        "sys.exit(code or bool({'torch', 'pytorch_lightning'} & set(sys.modules)))"
    )
    for arguments in (["list", path], ["info", path], ["remove", path, "--name", "d"]):
        done = subprocess.run([sys.executable, "-c", code, "gallery", *map(str, arguments)], capture_output=True)
        assert done.returncode == 0, arguments


def test_the_readme_s_five_lines(best, people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import siamese

    model = siamese.Model.load(best)
    gallery = siamese.Gallery("people.gallery", model)
    gallery.enroll(people)
    assert "王 芳" in str(gallery.identify(people / "王 芳" / "no 0.png", top=5))

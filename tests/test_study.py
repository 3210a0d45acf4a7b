"""Studies: arms times seeds, each an ordinary run, put together."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from siamese.__main__ import main
from siamese.errors import UserError
from siamese.study import Study, plan
from siamese.study.report import table
from siamese.study.summary import mean_of, summary

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A study of two arms with two seeds of a second each, and its YAML's folder."""
    home = tmp_path_factory.mktemp("study")
    tiny = yaml.safe_load((Path(__file__).parent / "tiny.yaml").read_text())
    tiny["trainer"]["callbacks"] = [
        {"class_path": "siamese.evaluation.AllPairs", "init_args": {"n_way": [5, 500], "episodes": 20}}
    ]
    tiny["trainer"]["max_epochs"] = 1
    tiny["checkpoint"] = {"monitor": None}
    (home / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    arms = [
        {"name": "plain/one", "config": "tiny.yaml", "seeds": 2, "vary": ["data.source.init_args.seed"]},
        {
            "name": "leaking",
            "config": "tiny.yaml",
            "seeds": 1,
            "options": {"data.sampler.init_args.shots": 2},
            "note": "not so",
        },
    ]
    (home / "study.yaml").write_text(yaml.safe_dump({"experiment": "tiny", "arms": arms}))
    assert main(["study", str(home / "study.yaml"), "--runs", str(home / "runs")]) == 0
    return home


def results(study: Path) -> dict:
    return json.loads((study / "runs" / "tiny-glyphs" / "latest" / "results.json").read_text())


def test_every_run_is_kept_and_their_mean_is_right(study):
    folder = study / "runs" / "tiny-glyphs" / "latest"
    names = {str(path.parent.relative_to(folder)) for path in folder.glob("*/seed-*/results.json")}
    assert names == {"plain-one/seed-00", "plain-one/seed-01", "leaking/seed-00"}
    assert all((folder / name / "checkpoints" / "best.ckpt").exists() for name in names)
    plain, leaking = results(study)["arms"]
    each = [json.loads((folder / f"plain-one/seed-0{n}/results.json").read_text()) for n in (0, 1)]
    assert each[0]["fingerprint"] != each[1]["fingerprint"], "the seed reaches the options that vary"
    assert [one["seed"] for one in each] == [0, 1]
    values = [one["methods"]["this network"]["eer"] for one in each]
    found = plain["methods"]["this network"]["eer"]
    assert found == {"mean": statistics.fmean(values), "deviation": statistics.stdev(values), "values": values}
    assert "5-way" in plain["methods"]["Pixels, L2"]
    assert "500-way" not in plain["methods"]["Pixels, L2"], "there are not so many test classes"
    assert leaking["note"] == "not so"
    config = json.loads((folder / "leaking/seed-00/results.json").read_text())["config"]
    assert config["data"]["sampler"]["init_args"]["shots"] == 2


def test_the_page_and_the_terminal_show_every_arm(study):
    folder = study / "runs" / "tiny-glyphs" / "latest"
    page = (folder / "report.html").read_text()
    text = table(results(study)["arms"])
    for shown in (page, text):
        assert "plain/one" in shown
        assert "PCA + LDA, cosine" in shown
    assert "(NOT SO)" in text
    assert "glyphs" in text
    assert page.count("data:image/png") == 3, (
        "two pictures of the arm that may be looked at without its note, one of its run"
    )
    assert "http" not in page.replace("http-equiv", "")


def test_the_mean_of_results_is_taken_of_every_fraction():
    found = [{"how": "a", "images": 3, "bars": [0.1], "novel": {"x": {"auroc": share}}} for share in (0.5, 0.75)]
    assert mean_of(found) == {"how": "a", "images": 3, "bars": [0.1], "novel": {"x": {"auroc": 0.625}}}


def test_another_look_at_a_run_leaves_what_its_training_found(study, tmp_path):
    run = study / "runs" / "tiny-glyphs" / "latest" / "leaking/seed-00"
    before = (run / "results.json").read_bytes(), (run / "report.html").read_bytes()
    assert main(["evaluate", "--checkpoint", str(run / "checkpoints/best.ckpt"), "--runs", str(tmp_path)]) == 0
    assert ((run / "results.json").read_bytes(), (run / "report.html").read_bytes()) == before
    assert list(tmp_path.glob("tiny-glyphs/*-test/results.json"))


def test_resuming_does_only_what_is_missing(study):
    folder = study / "runs" / "tiny-glyphs" / "latest"
    kept, missing = folder / "plain-one/seed-00/results.json", folder / "plain-one/seed-01/results.json"
    before = kept.stat().st_mtime_ns, missing.read_text()
    missing.unlink()
    assert main(["study", str(study / "study.yaml"), "--runs", str(study / "runs"), "--resume", "--workers", "2"]) == 0
    assert kept.stat().st_mtime_ns == before[0]
    again, then = json.loads(missing.read_text()), json.loads(before[1])
    eers = [found["methods"]["this network"]["eer"] for found in (again, then)]
    assert eers[0] == pytest.approx(eers[1], abs=0.02), (
        "the same seed gives the same figures, but for other threads' roundings"
    )


def test_several_workers_find_what_one_finds(study, tmp_path):
    assert (
        main(["study", str(study / "study.yaml"), "--runs", str(tmp_path), "--workers", "2", "--arms", "plain/one"])
        == 0
    )
    again = json.loads((tmp_path / "tiny-glyphs" / "latest" / "results.json").read_text())
    (arm,) = again["arms"]
    for key, figure in arm["methods"]["this network"].items():
        assert figure["mean"] == pytest.approx(
            results(study)["arms"][0]["methods"]["this network"][key]["mean"], abs=0.02
        )


def test_plan_goes_seed_by_seed_and_hands_options_on():
    study = Study.read(EXPERIMENTS / "att_faces_study.yaml", seeds=2)
    runs = plan(study, EXPERIMENTS, Path("there"), ["--model.loss", "Binary"])
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    assert len({run.folder for run in runs}) == len(runs)
    assert all(run.arguments[-4:-2] == ["--model.loss", "Binary"] for run in runs)
    assert all(Path(run.arguments[2]).exists() for run in runs)
    honest = [run for run in runs if run.arm.vary]
    assert all(f"--data.source.init_args.split_seed={run.seed}" in run.arguments for run in honest)
    assert honest


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("- 1", "not the YAML of a study"),
        ("experiment: x", "not the YAML of a study"),
        ("experiment: x\narms: [{nam: 1}]", "nam"),
        ("arms: [{name: a, config: b, seeds: 1}]", "'experiment'"),
    ],
)
def test_a_wrong_yaml_is_told(tmp_path, content, sentence):
    (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(UserError, match=sentence):
        Study.read(tmp_path / "study.yaml")


def test_wrong_words_are_told(study, capsys):
    name = str(study / "study.yaml")
    assert main(["study", str(study / "no.yaml")]) == 2
    assert main(["study", name, "--arms", "plain"]) == 2
    assert "it has plain/one, leaking" in capsys.readouterr().err
    assert main(["study", name, "--workers", "0"]) == 2
    assert main(["study", name, "--runs", str(study / "empty"), "--resume"]) == 2
    assert "nothing to resume" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["study", name, "--runs", str(study / "empty"), "--model.los", "Binary"])
    assert stopped.value.code == 2


def test_an_interrupted_run_is_not_done(study, monkeypatch, capsys):
    """Ctrl-C ends the run it meets with results so far; the study stops there, and does that run again later."""
    from siamese import study as module

    folder = study / "runs" / "tiny-glyphs" / "latest"
    path = folder / "leaking/seed-00/results.json"
    before = path.read_text()

    def interrupted(run, threads=None):
        run.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**json.loads(before), "interrupted": True}))

    path.unlink()
    again = ["study", str(study / "study.yaml"), "--runs", str(study / "runs"), "--resume", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "execute", interrupted)
        assert main(again) == 130
    assert "--resume does the rest" in capsys.readouterr().out
    assert main(again) == 0
    again, then = (json.loads(text)["methods"]["this network"]["eer"] for text in (path.read_text(), before))
    assert again == pytest.approx(then, abs=0.02)  # another number of threads, other roundings


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
def test_workers_end_with_a_killed_study(study, tmp_path):
    """SIGKILL leaves no time to tell them."""
    command = [sys.executable, "-m", "siamese", "study", str(study / "study.yaml"), "--runs", str(tmp_path), "--workers", "2",
               "--trainer.max_epochs", "10000"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        logs = lambda: {log.resolve() for log in tmp_path.glob("*/latest/*/seed-*/log.txt")}  # noqa: E731
        until(lambda: len(logs()) == 2, "two workers at work")
        workers = children(running.pid)
        assert len(workers) >= 2
        running.kill()
        running.wait()
        until(
            lambda: not any(Path(f"/proc/{worker}/stat").exists() and "Z" not in state(worker) for worker in workers),
            "ends",
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def until(true, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_summary_of_one_seed_has_no_deviation(study):
    runs = list(plan(Study.read(study / "study.yaml", seeds=1), study, (study / "runs/tiny-glyphs/latest"), []))
    for arm in summary(runs):
        assert arm["seeds"] == 1
        assert arm["methods"]["this network"]["eer"]["deviation"] == 0

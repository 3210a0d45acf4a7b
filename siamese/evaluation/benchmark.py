"""The one-shot benchmark: official runs, freshly drawn episodes, and the baselines on the same trials."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from siamese.evaluation.baselines import pixel_baselines
from siamese.evaluation.evaluator import NETWORK, Evaluator, visible
from siamese.evaluation.intervals import mean_interval, wilson
from siamese.evaluation.one_shot import RULES, Rule, credits, episode_scores
from siamese.plots import group_bars, run_bars
from siamese.plots.images import Trial, trial, trial_sheet
from siamese.sampling.episodes import Episodes, Protocol, sample_episodes
from siamese.sampling.seeds import generator
from siamese.similarity import Similarity
from siamese.systems.data import FewShotData
from siamese.systems.siamese import Siamese
from siamese.tables import Table

# Accuracies on the official runs that a paper states for the 30-alphabet background.
PUBLISHED = {
    "Modified Hausdorff distance (Lake et al. 2015)": 0.612,
    "Deep convolutional network (Lake et al. 2015)": 0.865,
    "Siamese network (Koch et al. 2015)": 0.920,
    "Humans (Lake et al. 2015)": 0.955,
    "Bayesian program learning (Lake et al. 2015)": 0.967,
    "Attentive recurrent comparators (Shyam et al. 2017)": 0.985,
}
VALIDATION, SAMPLED = 1, 2  # streams of random numbers: choosing and reporting draw different episodes
WHERE: dict[Protocol, str] = {"within": "within an alphabet", "across": "across all classes"}
OTHER: dict[Rule, Rule] = {"nearest": "mean", "mean": "nearest"}
BESIDE: dict[Rule, str] = {"nearest": "nearest support", "mean": "class mean"}  # in the names of a study's figures
BASELINE_EPISODES = 20  # as many as there are official runs; Modified Hausdorff is slow


class OneShot(Evaluator):
    """N-way K-shot classification by the nearest support embedding or by class means.

    On validation classes it logs ``val/one_shot``: accuracy by the first of the protocols, by which checkpoints are chosen. On
    test classes it reports the data set's official runs, if it has any, and freshly drawn episodes; those of several supports a
    class by the other rule too.

    Args:
        n_way: numbers of classes of the sampled episodes.
        k_shot: numbers of support images a class.
        protocols: ``within`` one group with shared sources, as the official runs; ``across`` all classes.
        episodes: sampled episodes of each kind.
        val_episodes: validation episodes.
        val_n_way: classes of a validation episode.
        seed: of the sampled episodes; kept apart from the training's, so that all trainings answer the same trials.
        support: the rule that answers: ``nearest`` support embedding, or ``mean`` of each class's support embeddings (Snell et
            al. 2017, Prototypical networks for few-shot learning). Of one support a class they are the same.
    """

    def __init__(
        self,
        n_way: tuple[int, ...] = (20, 5),
        k_shot: tuple[int, ...] = (1, 5),
        protocols: tuple[Protocol, ...] = ("within", "across"),
        episodes: int = 1000,
        val_episodes: int = 500,
        val_n_way: int = 20,
        seed: int = 0,
        support: Literal["nearest", "mean"] = "nearest",
    ) -> None:
        super().__init__()
        self.kinds = [(protocol, n, k) for protocol in protocols for n in n_way for k in k_shot]
        self.episodes, self.val_episodes, self.val_n_way, self.seed = episodes, val_episodes, val_n_way, seed
        self.support: Rule = support
        self.sampled: dict[tuple[Protocol, int, int], Episodes] = {}

    def prepare(self, data: FewShotData) -> None:
        if self.sampled:
            return
        val, test = data.table("val"), data.table("test")
        draw, protocol = generator(self.seed, VALIDATION), self.kinds[0][0]
        self.validation = sample_episodes(val, self.val_episodes, self.val_n_way, 1, draw, protocol)
        for number, (protocol, n, k) in enumerate(self.kinds):
            draw = generator(self.seed, SAMPLED, number)
            self.sampled[protocol, n, k] = sample_episodes(test, self.episodes, n, k, draw, protocol)

    def choose(self, system: Siamese, data: FewShotData) -> dict[str, float]:
        scores = episode_scores(system.embeddings("val"), self.validation, system.similarity, self.support)
        return {"val/one_shot": float(credits(scores, self.validation.target.to(scores.device)).mean())}

    def report(self, system: Siamese, data: FewShotData) -> None:
        table, embeddings = data.table("test"), system.embeddings("test").cpu()
        similarity = system.similarity.cpu()
        section: dict[str, Any] = {"sampled": []}
        views = getattr(system.network, "how", "one view of each image")
        for (protocol, n, k), episodes in self.sampled.items():
            row: dict[str, Any] = {"protocol": protocol, "n_way": n, "k_shot": k}
            row |= {"episodes": len(episodes), "trials": episodes.trials, "interval": "95 % t interval over episodes"}
            for rule in (self.support, OTHER[self.support])[: 1 if k == 1 else 2]:
                found = _figures(embeddings, episodes, similarity, rule)
                found["how"] = f"episodes {WHERE[protocol]}, {RULES[rule]}, {views}"
                row |= found if rule == self.support else {"other_rule": found}
            section["sampled"].append(row)
        shown = data.official or next(iter(self.sampled.values()))
        scores = episode_scores(embeddings, shown, similarity, self.support)
        earned = credits(scores, shown.target).double()
        if data.official:
            section["official"] = self._official(earned, f"{RULES[self.support]}, {views}")
            self.pictures["runs.png"] = run_bars(earned.mean(dim=1).tolist(), "Accuracy of the 20 official runs")
        section["per_group"] = _per_group(table, shown, earned)
        baselines = self._baselines(table, shown, data.official is not None)
        self.results = {"one_shot": section, "baselines": baselines, **_methods(section, baselines)}
        bars = {name: (each["accuracy"], each["low"], each["high"]) for name, each in section["per_group"].items()}
        self.pictures["groups.png"] = group_bars(bars, "One-shot accuracy by alphabet")
        self._draw_trials(table, shown, scores, earned, "run" if data.official else "episode")

    def _official(self, earned: Tensor, how: str) -> dict[str, Any]:
        low, high = wilson(float(earned.sum()), earned.numel())
        return {
            "accuracy": float(earned.mean()), "low": low, "high": high, "trials": earned.numel(), "n_way": 20, "k_shot": 1,
            "per_run": earned.mean(dim=1).tolist(), "interval": "Wilson 95 %",
            "how": f"20 official within-alphabet runs, {how}",
        }  # fmt: skip

    def _baselines(self, table: Table, episodes: Episodes, official: bool) -> list[dict[str, Any]]:
        few = slice(BASELINE_EPISODES)
        first = Episodes(episodes.support[few], episodes.query[few], episodes.target[few])
        trials = "these runs" if official else f"{len(first)} episodes"
        measured = [
            {"name": name, "accuracy": accuracy, "source": f"measured here on {trials}"}
            for name, accuracy in pixel_baselines(table, first).items()
        ]
        published = [
            {"name": name, "accuracy": accuracy, "source": "published, task with 30 alphabets"}
            for name, accuracy in PUBLISHED.items()
        ]
        return measured + (published if official else [])

    def _draw_trials(self, table: Table, episodes: Episodes, scores: Tensor, earned: Tensor, word: str) -> None:
        """Pictures of failed trials, the most confident first, and of solved ones, the least confident first."""
        target = scores.gather(2, episodes.target.unsqueeze(2)).squeeze(2)
        best_other = scores.scatter(2, episodes.target.unsqueeze(2), -torch.inf).amax(dim=2)
        margin = target - best_other
        failed, solved = (earned < 1).nonzero().tolist(), (earned == 1).nonzero().tolist()
        titles = {"failed": "Failed trials, the surest first", "solved": "Solved trials, the closest first"}
        for name, chosen in (("failed", failed), ("solved", solved)):
            hardest = sorted(chosen, key=lambda place: float(margin[tuple(place)]))[:12]
            if hardest:
                trials = [_trial(table, episodes, scores, e, q, word) for e, q in hardest]
                self.pictures[f"trials_{name}.png"] = trial_sheet(trials, titles[name])
        episode, query = (solved or failed)[len(solved or failed) // 2]
        shown = _trial(table, episodes, scores, episode, query, word)
        self.pictures["one_trial.png"] = trial(
            shown, f"{episodes.n_way}-way one-shot: which of these is the same character?"
        )


def _figures(embeddings: Tensor, episodes: Episodes, similarity: Similarity, rule: Rule) -> dict[str, Any]:
    """Accuracy with its interval, and the rule in words."""
    earned = credits(episode_scores(embeddings, episodes, similarity, rule), episodes.target).double()
    low, high = mean_interval(earned.mean(dim=1))
    return {"accuracy": float(earned.mean()), "low": low, "high": high, "rule": RULES[rule]}


def _methods(section: dict[str, Any], baselines: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures that a study puts together over its seeds: "within 20-way 5", and of several supports a class that of the
    other rule by name, "within 20-way 5, class mean"."""
    figures, names, how = {}, {RULES[rule]: name for rule, name in BESIDE.items()}, ""
    for each in section["sampled"]:
        kind = f"{each['protocol']} {each['n_way']}-way {each['k_shot']}"
        figures[kind] = each["accuracy"]
        if other := each.get("other_rule"):
            figures[f"{kind}, {names[other['rule']]}"] = other["accuracy"]
            how = f", by the {each['rule']} where no other rule is named"
    how = f"{section['sampled'][0]['episodes']:,} sampled episodes of each kind{how}"
    if "official" not in section:
        return {"methods": {NETWORK: figures}, "methods_how": how}
    measured = {
        each["name"]: {"official": each["accuracy"]} for each in baselines if not each["source"].startswith("published")
    }
    network = {"official": section["official"]["accuracy"], **figures}
    return {"methods": {NETWORK: network, **measured}, "methods_how": f"{section['official']['how']}; {how}"}


def _per_group(table: Table, episodes: Episodes, earned: Tensor) -> dict[str, dict[str, float]]:
    groups = table.groups[episodes.query]
    found = {}
    for group in groups.unique().tolist():
        mine = earned[groups == group]
        low, high = wilson(float(mine.sum()), mine.numel())
        found[table.group_names[group]] = {
            "accuracy": float(mine.mean()),
            "low": low,
            "high": high,
            "trials": mine.numel(),
        }
    return found


def _trial(table: Table, episodes: Episodes, scores: Tensor, episode: int, query: int, word: str) -> Trial:
    support, row = episodes.support[episode, :, 0], int(episodes.query[episode, query])
    return Trial(
        query=visible(table, torch.tensor([row]))[0],
        supports=visible(table, support),
        similarities=scores[episode, query].numpy(),
        target=int(episodes.target[episode, query]),
        query_name=table.file_names[row],
        support_names=[table.file_names[each] for each in support.tolist()],
        run=f"{word} {episode + 1}",
    )

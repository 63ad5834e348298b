"""Installed weights: found by name, by hash, and, once replaced by better ones, still by the files that name them."""

import shutil
from pathlib import Path

import pytest
import torch
from paths import GOLDEN

import wavelic
from wavelic.codec.weights import card_by_id, card_called, cards, family, superseded_cards, weight_folders
from wavelic.errors import ModelError, UsageError
from wavelic.lifting.cards import find_lifting, lifting_id
from wavelic.lifting.weights import load_lifting_card
from wavelic.training.data import PackedImages
from wavelic.training.recipe import load_recipe
from wavelic.training.stages import Recipe
from wavelic.training.task import make_task

PACKAGE = weight_folders()[-1]


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the package's current weights are superseded, and the only folder there is."""
    shutil.copytree(PACKAGE, tmp_path / "superseded", ignore=shutil.ignore_patterns("superseded"))
    monkeypatch.setattr("wavelic.codec.weights.weight_folders", lambda: (tmp_path,))
    return tmp_path


def test_replaced_weights_open_files_and_encode_none(replaced: Path) -> None:
    golden = GOLDEN / "v1-wcae-rgb.wlic"
    assert wavelic.decode(golden.read_bytes()).shape == (61, 83, 3)
    assert cards() == ()
    with pytest.raises(ModelError, match="no weights for 'wcae'"):
        family("wcae")
    (card,) = (c for c in superseded_cards() if c.name == "lifting")
    assert find_lifting(lifting_id(card)).path.parent.name == "superseded"
    with pytest.raises(ModelError, match="no lifting weights 'lifting'"):
        find_lifting("lifting")


def test_weights_are_called_by_name_or_hash(replaced: Path) -> None:
    (card,) = (c for c in superseded_cards() if c.name == "weconvene-s")
    assert (
        card_called(card.name, "weconvene-s") is card_called(card.hash[:8], "weconvene-s") is card_by_id(card.file_id)
    )
    with pytest.raises(ModelError, match=f"no weights of weconvene-s fit 'abc'; there are {card.name}"):
        card_called("abc", "weconvene-s")
    with pytest.raises(ModelError, match="several weights of wcae fit ''"):
        card_called("", "wcae")


def _lifting_recipe(extra: str) -> Recipe:
    return load_recipe("lifting-cpu", ("defaults.crop=64", f"stages.0.weights={extra}"))


def test_lifting_training_starts_from_installed_weights(tmp_path: Path) -> None:
    card = find_lifting("lifting")
    recipe = _lifting_recipe(card.hash[:8])
    task = make_task(recipe, recipe.stages[0])
    state = task.installed(card_called(recipe.stages[0].weights, recipe.model))
    data = PackedImages.__new__(PackedImages)
    task.start(state, data)
    loaded = load_lifting_card(card).state_dict()
    for name, value in task.objective.state_dict().items():
        if name.startswith("transform."):
            torch.testing.assert_close(value, loaded[name.removeprefix("transform.").replace(".operator.", ".")])


def test_wcae_training_cannot_start_from_installed_weights() -> None:
    recipe = load_recipe("wcae-cpu", ("stages.0.weights=wcae-0",))
    task = make_task(recipe, recipe.stages[0])
    with pytest.raises(UsageError, match="wcae-0 cannot be trained further"):
        task.installed(card_called("wcae-0", "wcae"))

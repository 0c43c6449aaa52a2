"""What older files keep elsewhere, put in its place before a document is validated; `places` says where it stood."""

from collections.abc import Sequence
from typing import Any

from ktrdr.execution.component import refusal
from ktrdr.execution.models.library import MODELS

SPLITS = {"data_split", "validation_split"}
"""Keys of `training` that say the same in two ways: where the newer section has one, the older one's is passed over."""

Place = tuple[int | str, ...]


def modernised(written: dict[str, Any]) -> dict[str, Any]:
    """The document with `model.training`, `training.date_range` and an architecture without its key where they belong.

    `model.training` fills what `training` leaves out. Raises a refusal for what stands in both places.
    """
    document = dict(written)
    _check_version(document.get("version"))
    if isinstance(document.get("model"), dict):
        _move_training(document)
        document["model"] = _with_architecture(document["model"])
    if isinstance(document.get("training"), dict) and "date_range" in document["training"]:
        _move_dates(document)
    return document


def _check_version(version: Any) -> None:
    if isinstance(version, (str, int, float)) and not str(version).startswith("3"):
        raise refusal(
            f"version: {version!r}",
            "this reads grammar 3.0, whose indicators, fuzzy_sets and nn_inputs are written in another way:"
            " docs/strategies.md shows how",
        )


def _move_training(document: dict[str, Any]) -> None:
    older, newer = document["model"].get("training"), document.get("training") or {}
    if not isinstance(older, dict) or not isinstance(newer, dict):
        return
    kept = {key: value for key, value in older.items() if not (key in SPLITS and SPLITS & set(newer))}
    document["training"] = {**kept, **newer}
    document["model"] = {key: value for key, value in document["model"].items() if key != "training"}


def _with_architecture(model: dict[str, Any]) -> dict[str, Any]:
    """`model: {type: mlp, hidden_layers: …}` as `model: {type: mlp, architecture: {hidden_layers: …}}`."""
    known = {key for kind in MODELS for key in kind.older_keys()}
    loose = {key: value for key, value in model.items() if key in known}
    inside = model.get("architecture", {})
    if not loose or not isinstance(inside, dict):
        return model
    twice = [key for key in loose if key in inside]
    if twice:
        raise refusal(f"model: {twice[0]} beside and inside architecture", "keep the one inside architecture")
    rest = {key: value for key, value in model.items() if key not in loose}
    return {**rest, "architecture": {**inside, **loose}}


def _move_dates(document: dict[str, Any]) -> None:
    data, training = document.get("training_data"), document["training"]
    if not isinstance(data, dict):
        return
    if {"start_date", "end_date", "date_range"} & set(data):
        raise refusal("training: date_range beside the dates of training_data", "keep those of training_data")
    document["training_data"] = {**data, "date_range": training["date_range"]}
    document["training"] = {key: value for key, value in training.items() if key != "date_range"}


def places(loc: Sequence[int | str]) -> list[Place]:
    """Where the value at `loc` may stand in a file, its own place first."""
    found: list[Place] = [tuple(loc)]
    match loc:
        case ["training", *rest]:
            found.append(("model", "training", *rest))
        case ["training_data", "start_date" | "end_date" as key, *rest]:
            span = ("date_range", key.removesuffix("_date"), *rest)
            found += [("training_data", *span), ("training", *span)]
        case ["training_data", "date_range", *rest]:
            found.append(("training", "date_range", *rest))
        case ["model", *rest] if "architecture" in rest:
            found.append(("model", *(key for key in rest if key != "architecture")))
    return found

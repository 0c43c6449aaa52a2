"""A strategy's model, fresh, for one dataset."""

import torch

from ktrdr.execution.dataset import Dataset
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.strategy.grammar import Strategy


def create_model(strategy: Strategy, dataset: Dataset, device: torch.device) -> Predictor:
    """A model on the device whose weights follow from the seed, with the scales fitted on the training rows."""
    seed, classes = strategy.training.seed, len(strategy.training.labels.classes)
    model = strategy.model.build(len(strategy.feature_names), classes, torch_generator(seed, "weights"))
    model.normaliser.load_state_dict(dataset.normaliser.state_dict())
    model.rescaler.load_state_dict(dataset.rescaler.state_dict())
    model.to(device).use_generator(torch_generator(seed, "dropout", device))
    return model

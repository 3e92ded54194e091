"""Networks that look at tiles: backbones to fine-tune, frozen feature extractors, and where their weights come from."""

from components.core.features.backbones import Backbone, build_backbone
from components.core.features.cache import FeatureCache, feature_cache
from components.core.features.extract import Features, features_of, to_batches
from components.core.features.extractors import EXTRACTORS, Extractor, load_extractor
from components.core.features.registry import REGISTRY, Weights
from components.core.features.weights import find_weights

__all__ = [
    "EXTRACTORS",
    "REGISTRY",
    "Backbone",
    "Extractor",
    "FeatureCache",
    "Features",
    "Weights",
    "build_backbone",
    "feature_cache",
    "features_of",
    "find_weights",
    "load_extractor",
    "to_batches",
]

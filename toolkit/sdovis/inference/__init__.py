"""A saved model at work: what it is shown of a source, the ready pipeline, and the one path by which pictures are scored."""

from sdovis.inference.scoring import Engine, Scored, TorchEngine, latency, loaded, probabilities, scored
from sdovis.inference.solar_pipeline import Classified, Unfamiliar, pipeline
from sdovis.inference.sources import codes, gathered

__all__ = [
    "Classified",
    "Engine",
    "Scored",
    "TorchEngine",
    "Unfamiliar",
    "codes",
    "gathered",
    "latency",
    "loaded",
    "pipeline",
    "probabilities",
    "scored",
]

"""A stranger's plug-ins: a label scheme, a channel, an augmentation and a target, in a distribution of their own."""

from __future__ import annotations

import shutil

import numpy as np
from sdovis.channels.channel import Channel
from sdovis.channels.hmi import HMI_MAGNETOGRAM
from sdovis.labels.augmentations import Augmentation
from sdovis.labels.schemes import LabelScheme

SCHEME = LabelScheme(
    name="spot-complexity",
    version="1",
    classes=("simple", "complex"),
    meanings={"simple": "One polarity, or two with a single dividing line.", "complex": "Polarities intermixed."},
    ordered=True,
    merged={
        "alpha": "simple", "beta": "simple", "gamma": "complex",
        "beta-gamma": "complex", "beta-delta": "complex", "beta-gamma-delta": "complex",
    },
    augmentations=frozenset({"flip_ns", "flip_ew", "rotate90"}),
)  # fmt: skip

UNSIGNED = Channel(
    name="hmi-unsigned",
    version="1",
    title="HMI unsigned line-of-sight field",
    unit="G",
    source="|B| in equal steps to 1000 G",
    colormap="gray",
    levels=np.concatenate([[np.nan], np.linspace(0, 1000, 255)]).astype(np.float32),
    physical=lambda image: np.abs(HMI_MAGNETOGRAM.physical(image)),
    contradictions=HMI_MAGNETOGRAM.contradictions,
)


def _one_step(pictures, which, signed):
    """Each code one step up, one down, or as it is, from a stream of the picture's own; 0 stays missing."""
    import torch

    out = pictures.clone()
    for picture, seed in zip(out, which, strict=True):
        step = torch.randint(-1, 2, picture.shape, generator=torch.Generator().manual_seed(int(seed)))
        picture[:] = torch.where(picture > 0, (picture + step.to(picture.device)).clamp(1, 255), 0)
    return out


ONE_STEP = Augmentation("one_step", outcomes=1 << 15, apply=_one_step, keeps=frozenset({"spot-complexity"}))


def archive(asked):
    """A release as one file: ``sdovis publish RUN --to zip:PATH``, without the ending."""
    return [f"{asked.place}.zip" if asked.dry_run else shutil.make_archive(asked.place, "zip", asked.release)]

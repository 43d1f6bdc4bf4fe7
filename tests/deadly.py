"""Work for child processes of the tests that takes its process down."""

import os
import signal
from pathlib import Path

from sdovis.corpus import catalog

looked = catalog._looked


def killed_by_the_image_named_in_a_file(root: Path, images, keywords, tasks):
    """As the catalog's own look at images, but the one named in ``victim.txt`` kills its reader."""
    victim = (root / "victim.txt").read_text()
    if any(frame[0].image == victim for frame, _ in tasks):
        os.kill(os.getpid(), signal.SIGKILL)
    return looked(root, images, keywords, tasks)

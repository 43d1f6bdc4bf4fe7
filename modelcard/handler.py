"""What an Inference Endpoint runs: images in, FITS too, classes out. The source is beside this file, in sdovis/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sdovis.inference.endpoint import EndpointHandler

__all__ = ["EndpointHandler"]

"""The columns of a corpus, in order: what each holds, its unit, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "number", "time", "image", "class", "flag"]


@dataclass(frozen=True)
class CorpusColumn:
    """A column: its ``meaning`` in the words of the dataset card, and its ``unit``, '' if it has none.

    A ``measured`` column is known only once the image is opened. The others come with the row; time and position are
    completed from the image's header.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    measured: bool = False

    @property
    def heading(self) -> str:
        """Name and unit as a workbook heading: ``Latitude (deg)``."""
        words = self.name.removesuffix(f"_{self.unit}").replace("_", " ").capitalize()
        return f"{words} ({self.unit})" if self.unit else words


COLUMNS = (
    CorpusColumn("id", "text", "name of the row: its image, and its region or its place in the workbook"),
    CorpusColumn(
        "image",
        "image",
        "PNG of 8 bits: the codes of the transform, in grey, or of three transforms, a colour each",
        measured=True,
    ),
    CorpusColumn("label", "class", "class"),
    CorpusColumn("noaa_ar", "integer", "NOAA active-region number, five digits; empty where there is none or several"),
    CorpusColumn("observed", "time", "time of observation", "UTC"),
    CorpusColumn(
        "group", "text", "the independent unit: the region, else its HARP, else the frame of an image without one"
    ),
    CorpusColumn("frame", "text", "the image file it was cut from"),
    CorpusColumn("latitude_deg", "number", "Stonyhurst latitude, north positive", "deg"),
    CorpusColumn("longitude_deg", "number", "Stonyhurst longitude from the central meridian, west positive", "deg"),
    CorpusColumn("x_px", "number", "position in the original image, from its left edge; the first pixel is 0", "px"),
    CorpusColumn("y_px", "number", "position in the original image, from its upper edge; the first pixel is 0", "px"),
    CorpusColumn(
        "native_side_px",
        "number",
        "side of the image in pixels of the original: how much it was rescaled",
        "px",
        measured=True,
    ),
    CorpusColumn("missing_share", "number", "share of pixels that hold no value", measured=True),
    CorpusColumn(
        "masked_share",
        "number",
        "share of pixels that show quiet Sun in place of other regions; empty if neighbours are kept",
        measured=True,
    ),
    CorpusColumn("mean_code", "number", "mean of the 8-bit codes that hold a value", measured=True),
    CorpusColumn(
        "perceptual_hash", "text", "64 bits, hexadecimal: nearly equal images have nearly equal hashes", measured=True
    ),
    CorpusColumn("label_text", "text", "the class as the workbook has it"),
    CorpusColumn("source_file", "text", "the workbook, or the file, that the row stands in"),
    CorpusColumn("source_sheet", "text", "the sheet of the workbook"),
    CorpusColumn("source_row", "integer", "the row's number in the sheet or file"),
    CorpusColumn("image_file", "text", "the original image; of three channels three, with semicolons between"),
    CorpusColumn("image_sha256", "text", "sha256 of the original image's file", measured=True),
    CorpusColumn("pixels_sha256", "text", "sha256 of the pixels of the image here", measured=True),
    CorpusColumn(
        "header", "text", "facts of the original image's header, JSON; by channel where there are three", measured=True
    ),
    CorpusColumn(
        "extra", "text", "further facts of the row as its source gives them, JSON; empty where there are none"
    ),
)
#: Known for each row until the corpus is written; the corpus says it once for all rows.
SIMULATED = CorpusColumn("simulated", "flag", "whether the image says that it was simulated", measured=True)
#: Known for each row until the rows are divided.
PUBLISHED_PART = CorpusColumn("published_part", "text", "the part that the data set's publisher put the row in")
#: Known for each row until the corpus is written, which has a column for each of them.
BESIDE_VALUES = CorpusColumn("beside", "text", "the values beside the image, JSON")
#: Known for each row until the groups are made of it.
UNIT = CorpusColumn("unit", "text", "every region and HARP that row and header name", measured=True)

NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
#: The position of the row's region, on the Sun and in the original image.
POSITIONS = tuple(column for column in COLUMNS if column.name in ("latitude_deg", "longitude_deg", "x_px", "y_px"))

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sdovis.corpus.png import png_files


@st.composite
def _stacks(draw) -> np.ndarray:
    """Noise, flat colours and steep edges: 1 to 4 pictures of one shape, grey or in colour."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)))
    colours = draw(st.sampled_from([(), (3,)]))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 256, shape + colours, np.uint8)
    return noise // draw(st.sampled_from([1, 16, 255])) * np.uint8(draw(st.sampled_from([1, 255])))


@given(_stacks())
def test_every_picture_comes_back_from_its_file_whatever_its_shape(codes):
    files = png_files(codes)
    assert len(files) == len(codes)
    for file, picture in zip(files, codes, strict=True):
        with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
            image.verify()  # the sums of the chunks
        with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
            assert image.mode == ("L" if picture.ndim == 2 else "RGB")
            assert np.array_equal(np.asarray(image), picture)


@given(_stacks())
def test_a_file_does_not_depend_on_the_pictures_made_with_it(codes):
    assert png_files(codes) == [png_files(picture[None])[0] for picture in codes]


def test_the_files_are_within_a_tenth_of_what_pillow_makes_of_them():
    rng = np.random.default_rng(0)
    plasma = Image.fromarray(rng.uniform(0, 255, (14, 14)).astype(np.float32)).resize(
        (112, 112), Image.Resampling.BICUBIC
    )
    codes = (np.asarray(plasma) + rng.normal(0, 4, (8, 112, 112))).clip(0, 255).astype(np.uint8)
    default = 0
    for picture in codes:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        default += buffer.tell()
    assert sum(map(len, png_files(codes))) < 1.1 * default

"""Images inside stores: a member of a zarr store, a NetCDF file or a Parquet table is read as a file of its values would be."""

from __future__ import annotations

import io
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sdovis.errors import UnreadableImage
from sdovis.images.address import Address
from sdovis.images.containers import members, zarr_store
from sdovis.images.images import located, read_image

h5netcdf = pytest.importorskip("h5netcdf", reason="h5netcdf is not installed: it writes the NetCDF files")
zarr = pytest.importorskip("zarr", reason="zarr is not installed")

SIDE, COUNT = 32, 7
CARDS = {
    "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CRVAL1": 0.0, "CRVAL2": 0.0,
    "CDELT1": 80.0, "CDELT2": 80.0, "CRPIX1": 16.5, "CRPIX2": 16.5, "RSUN_OBS": 960.0, "CRLT_OBS": 2.0,
    "INSTRUME": "AIA_3", "WAVELNTH": 171,
}  # fmt: skip


def ramp(number: int) -> np.ndarray:
    """Brighter to the north (row 0 is south) and to the west."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return (100 * number + y + x / 100).astype(np.float32)


def store(folder: Path, **more: object) -> Path:
    root = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    array = root.create_group("2012").create_array(
        "171A", shape=(COUNT, SIDE, SIDE), chunks=(3, SIDE, SIDE), dtype="f4"
    )
    array[:] = np.stack([ramp(number + 1) for number in range(COUNT)])
    lists = {key: [value] * COUNT for key, value in CARDS.items()}
    lists |= {"T_OBS": [f"2012-01-0{n + 1}T00:00:00Z" for n in range(COUNT)], "PIXLUNIT": ["DN/s"] * COUNT}
    array.attrs.update(lists | {"DEG_COR": [0.9] * COUNT, **more})
    return folder / "a.zarr"


def netcdf(folder: Path, name: str = "aia171", **attributes: object) -> Path:
    path = folder / "20120101_0000.nc"
    header = {key.lower(): value for key, value in CARDS.items()}
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"y": SIDE, "x": SIDE}
        values = ramp(1)
        values[0, 0] = 0
        array = file.create_variable(name, ("y", "x"), "f4", data=values, compression="gzip", fillvalue=0.0)
        said = {"unit": "DN/s", "t_obs": "2012-01-01T00:00:02Z", "meta_0": json.dumps(header | {"cdelt1": 0.6}),
                "meta_1": json.dumps(header | {"rsun_fix": 976.0})} | attributes  # fmt: skip
        for key, value in said.items():
            array.attrs[key] = value
    return path


def parquet(folder: Path, cells: list[dict[str, object]], rows: int = 2) -> Path:
    path = folder / "train-00000.parquet"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(cells, kind)}), path, row_group_size=rows)
    return path


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


@given(
    st.sampled_from([".zarr", ".nc", ".parquet"]), st.text("ab/171A_", min_size=1), st.none() | st.integers(0, 10**6)
)
def test_an_address_is_read_as_it_is_written(suffix, name, index):
    address = Address.entry(f"folder/store{suffix}", name, index)
    again = Address.of(str(address))
    assert (again.path, again.name, again.index) == (Path(f"folder/store{suffix}"), name, index)


def test_only_a_store_has_members():
    assert Address.of("odd::name.fits") == Address(Path("odd::name.fits"))
    assert Address.of("a.parquet").member == ""


def test_the_rows_of_one_table_have_names_of_their_own():
    stems = {Address.of(f"train.parquet::image[{number}]").stem for number in range(12)}
    assert len(stems) == 12


def test_an_entry_of_a_zarr_array_has_its_own_values_time_and_place(tmp_path):
    image = read_image(located(tmp_path, f"{store(tmp_path).name}::2012/171A[4]"))
    assert image.values[0, 0] == np.float32(500 + SIDE - 1)  # row 0 is north
    assert (image.unit, image.format, image.observed) == ("DN/s", "zarr", datetime(2012, 1, 5, tzinfo=UTC))
    assert image.frame is not None
    assert image.frame.radius_px == pytest.approx(12.0, rel=1e-3)
    assert (image.header["DEG_COR"], str(image.path)) == (0.9, f"{tmp_path}/a.zarr::2012/171A[4]")


def test_the_sum_is_that_of_the_image_and_not_of_its_chunk(tmp_path):
    path = store(tmp_path)
    sums = {read_image(Address.entry(path, "2012/171A", number)).sha256 for number in range(COUNT)}
    assert len(sums) == COUNT


def test_a_keyword_with_fewer_entries_than_images_is_refused(tmp_path):
    path = store(tmp_path, T_OBS=["2012-01-01T00:00:00Z"] * (COUNT - 1))
    with pytest.raises(UnreadableImage, match="has 6 entries for 7 images"):
        read_image(Address.entry(path, "2012/171A", 0))


@pytest.mark.parametrize(
    ("member", "said"),
    [("2012/171A[7]", "there is no such image: the array has 7"), ("2012/171A", "names no image"),
     ("2012/193A[0]", "there is no such array"), ("../b.zarr/x[0]", "lies outside the store")],
)  # fmt: skip
def test_what_is_not_in_a_zarr_store_is_said(tmp_path, member, said):
    with pytest.raises(UnreadableImage, match=said):
        read_image(Address(store(tmp_path), member))


def test_a_chunk_that_was_never_written_is_no_dark_image(tmp_path):
    path = store(tmp_path)
    next(path.glob("2012/171A/1.0.0")).unlink()
    assert read_image(Address.entry(path, "2012/171A", 2)).values.max() > 300
    with pytest.raises(UnreadableImage, match="is not in the store"):
        read_image(Address.entry(path, "2012/171A", 3))


def test_a_store_that_links_to_other_folders_is_refused(tmp_path):
    path, outside = store(tmp_path), tmp_path / "outside"
    chunk = path / "2012/171A/0.0.0"
    chunk.rename(outside)
    chunk.symlink_to(outside)
    with pytest.raises(UnreadableImage, match="links to other folders"):
        read_image(Address.entry(path, "2012/171A", 0))


class Deed:
    def __reduce__(self):
        return (Path.touch, (Path("deed"),))


def test_a_store_that_brings_code_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = store(tmp_path)
    said = json.loads((path / "2012/171A/.zarray").read_text())
    (path / "2012/171A/.zarray").write_text(json.dumps(said | {"filters": [{"id": "pickle", "protocol": 5}]}))
    (path / "2012/171A/0.0.0").write_bytes(pickle.dumps(Deed()))
    with pytest.raises(UnreadableImage, match="packed with pickle, which is not opened"):
        read_image(Address.entry(path, "2012/171A", 0))
    assert not Path("deed").exists()


@pytest.mark.parametrize(
    "change", [{"shape": [7, 10**6, 32]}, {"chunks": [10**6, 32, 32]}, {"dtype": "|O"}, {"shape": "x"}]
)
def test_impossible_metadata_are_refused_before_anything_is_decoded(tmp_path, change):
    path = store(tmp_path)
    said = json.loads((path / "2012/171A/.zarray").read_text())
    (path / "2012/171A/.zarray").write_text(json.dumps(said | change))
    with pytest.raises(UnreadableImage):
        read_image(Address.entry(path, "2012/171A", 0))


def test_entries_of_one_chunk_are_read_together(tmp_path):
    path = store(tmp_path)
    pieces = [zarr_store.together(Address.entry(path, "2012/171A", number)) for number in range(COUNT)]
    assert [piece[2] for piece in pieces] == [0, 0, 0, 1, 1, 1, 2]


def test_a_netcdf_variable_is_placed_by_the_radius_that_it_was_scaled_to(tmp_path):
    image = read_image(located(tmp_path, f"{netcdf(tmp_path).name}::aia171"))
    assert image.frame is not None
    assert image.frame.radius_px == pytest.approx(976.0 / 80.0, rel=1e-3)  # and not 960 / 80
    assert np.isnan(image.values[-1, 0])  # _FillValue, in the south-east
    assert (image.unit, image.header["DEG_COR"]) == ("DN/s", "aiapy")


@pytest.mark.parametrize(
    ("attributes", "member", "said"),
    [({}, "aia193", "there is no variable 'aia193'"), ({"meta_1": "{not json"}, "aia171", "meta_1 is no header"),
     ({}, "aia171[3]", "a variable is one image")],
)  # fmt: skip
def test_what_is_wrong_with_a_netcdf_file_is_said(tmp_path, attributes, member, said):
    with pytest.raises(UnreadableImage, match=said):
        read_image(Address(netcdf(tmp_path, **attributes), member))


def test_netcdf_of_the_classic_kind_and_values_elsewhere_are_refused(tmp_path):
    (tmp_path / "old.nc").write_bytes(b"CDF\x01" + bytes(100))
    with pytest.raises(UnreadableImage, match="of the classic kind"):
        read_image(Address(tmp_path / "old.nc", "x"))
    import h5py

    (tmp_path / "secret").write_bytes(np.ones(SIDE * SIDE, "f4").tobytes())
    with h5py.File(tmp_path / "b.nc", "w") as file:
        file.create_dataset("x", (SIDE, SIDE), "f4", external=[(str(tmp_path / "secret"), 0, SIDE * SIDE * 4)])
        file["y"] = h5py.ExternalLink(str(tmp_path / "c.nc"), "x")
    for name in ("x", "y"):
        with pytest.raises(UnreadableImage, match=r"lie in another file|no variable"):
            read_image(Address(tmp_path / "b.nc", name))


def test_a_row_of_a_parquet_table_is_the_picture_in_it(tmp_path):
    path = parquet(tmp_path, [{"bytes": png(n), "path": f"/somewhere/2012_{n}.png"} for n in range(5)])
    image = read_image(Address.entry(path, "image", 3))
    assert image.values[0, 0] == 3
    assert image.path is not None
    assert image.path.name == "2012_3.png"
    assert [members.opener("Parquet").together(Address.entry(path, "image", n))[2] for n in range(5)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("cell", "index", "said"),
    [({"bytes": None, "path": "/etc/passwd"}, 0, "holds only the name of a file"),
     ({"bytes": b"", "path": None}, 0, "no picture"),
     ({"bytes": png(1), "path": ""}, 1, "there is no such row"), ({"bytes": b"GIF89a", "path": ""}, 0, "not a FITS")],
)  # fmt: skip
def test_what_is_wrong_with_a_parquet_row_is_said(tmp_path, cell, index, said):
    with pytest.raises(UnreadableImage, match=said):
        read_image(Address.entry(parquet(tmp_path, [cell]), "image", index))


def test_a_store_outside_the_images_folder_is_not_read(tmp_path):
    store(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(UnreadableImage, match="lies outside the image root"):
        located(tmp_path / "images", "../a.zarr::2012/171A[0]")

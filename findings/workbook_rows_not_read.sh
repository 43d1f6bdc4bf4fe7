#!/usr/bin/env bash
# openpyxl 3.1.5, beside pandas 3.1.1 and python-calamine 0.9.1, on a small workbook of active regions
#
# Expected. A workbook's rows are those in it. The <dimension> of a sheet is optional and only a hint (ISO/IEC 29500-1,
#   18.3.1.35), and "Strict Open XML" is one of the formats that Excel saves an .xlsx in. openpyxl's page on
#   read-only mode says that some programs write wrong dimensions and names reset_dimensions()
#   (https://openpyxl.readthedocs.io/en/stable/optimized.html), not that rows are then left out in silence.
# Seen. With read_only=True, rows below the dimension are not there: 10 regions of 30, no warning. pandas calls
#   reset_dimensions() and reads all 30. A strict workbook opens as one without any sheet: sheetnames is [], active is
#   None, no error (one warning, of "an invalid specification for 0"), and pandas' message is "0 worksheets found".
#   calamine, which pandas announces as its next default, reads all of both.
# For solar data. Lists of regions grow at the bottom, by scripts that leave the old dimension: the newest months are missing, and
#   a split by time has its test part cut off.
# Instead. worksheet.reset_dimensions() after each read-only opening; stop when a workbook has no sheets; or engine="calamine".
#
# Output seen:
#   dimension A1:B11: openpyxl 30 rows, read-only 10, after reset_dimensions 30; pandas 30; calamine 30
#   strict: openpyxl sheets [], pandas: Worksheet index 0 is invalid, 0 worksheets found; calamine 30
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 openpyxl==3.1.5 pandas==3.1.1 python-calamine==0.9.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import warnings
import zipfile

import openpyxl
import pandas as pd

print("openpyxl", openpyxl.__version__, "pandas", pd.__version__)
STRICT = {
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships": (
        "http://purl.oclc.org/ooxml/officeDocument/relationships"
    ),
    "<workbook ": '<workbook conformance="strict" ',
}
book = openpyxl.Workbook()
sheet = book.active
sheet.title = "Active regions"
sheet.append(["NOAA AR", "Mount Wilson"])
for number in range(11100, 11130):
    sheet.append([number, "Beta"])
book.save("regions.xlsx")


def rewritten(name, replacements):
    """The workbook with texts replaced in each of its parts."""
    with zipfile.ZipFile("regions.xlsx") as source, zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.namelist():
            text = source.read(part).decode()
            for old, new in replacements.items():
                text = text.replace(old, new)
            target.writestr(part, text)
    return name


def rows(worksheet):
    return len(list(worksheet.iter_rows())) - 1


stale = rewritten("stale.xlsx", {'<dimension ref="A1:B31"': '<dimension ref="A1:B11"'})
with warnings.catch_warnings():
    warnings.simplefilter("error")
    full, lean = rows(openpyxl.load_workbook(stale).active), openpyxl.load_workbook(stale, read_only=True).active
    cut = rows(lean)
    lean.reset_dimensions()
    mended = rows(lean)
by_pandas, by_calamine = (len(pd.read_excel(stale, engine=engine)) for engine in ("openpyxl", "calamine"))
print(
    f"dimension A1:B11: openpyxl {full} rows, read-only {cut}, after reset_dimensions {mended};",
    f"pandas {by_pandas}; calamine {by_calamine}",
)
assert (full, cut, mended, by_pandas, by_calamine) == (30, 10, 30, 30, 30)

strict = rewritten("strict.xlsx", STRICT)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an "invalid specification", which names no strict format
    opened = openpyxl.load_workbook(strict)
    try:
        message = f"{len(pd.read_excel(strict, engine='openpyxl'))} rows"
    except ValueError as error:
        message = str(error)
by_calamine = len(pd.read_excel(strict, engine="calamine"))
print(f"strict: openpyxl sheets {opened.sheetnames}, pandas: {message}; calamine {by_calamine}")
assert opened.sheetnames == [] and opened.active is None
assert "0 worksheets found" in message and by_calamine == 30
PYTHON

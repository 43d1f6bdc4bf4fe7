"""What an image is of: the instrument that took it and HMI's segment, by everything that its header and name say.

Archives differ in what they write. JSOC's headers name record and segment in DRMS_ID; the segments of a SHARP have one
header but for that, and their files' names; Helioviewer's files carry the header of their source; NASA's browse pictures
have only their names. Whatever says that an image is another than the channel's counts, so that a header and a name that
contradict each other fit no channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from sdovis.images.images import SolarImage

#: HMI's segments at JSOC, in lower case: those of the SHARPs and of the full-disc series.
SEGMENTS = frozenset(
    "magnetogram continuum br bp bt br_err bp_err bt_err dopplergram bitmap disambig conf_disambig conf field inclination "
    "azimuth vlos_mag dop_width eta_0 damping src_continuum src_grad alpha_mag alpha_err chisq conv_flag info_map linedepth "
    "linewidth field_err inclination_err azimuth_err vlos_err field_inclination_err field_az_err field_alpha_err "
    "inclin_azimuth_err confid_map".split()
)
#: Series of HMI with a single segment, by the word after "hmi.": hmi.M_45s, hmi.Ic_720s ...; those of the vector field
#: and of Stokes parameters have many, none of which is a line-of-sight magnetogram.
SERIES = {
    "m": "magnetogram", "ic": "continuum", "v": "dopplergram", "ld": "linedepth", "lw": "linewidth", "b": "vector field",
    "me": "vector field", "s": "Stokes parameters",
}  # fmt: skip
#: Segments whose names mean one thing even where nothing else says that the file is HMI's.
PLAIN = ("magnetogram", "continuum", "dopplergram")
_SERIES = re.compile(
    r"(?:^|[^a-z0-9])(?:hmi|lm_jps)[._](m|ic|v|ld|lw|b|me|s)(?:_(?:\d|nolimbdark|fulldisk)|(?=20\d\d))"
)
_FLATTENED = "nolimbdark"
#: Components of the vector field as data sets name them in a store: 2011/Bz[12] of SDOML, hmi_bz of SuryaBench.
_COMPONENT = re.compile(r"(?:^|::hmi_)(B[xyz])(?:\[\d+\])?$", re.IGNORECASE)
_SUFFIXES = re.compile(r"(\.(fits|fit|fts|fz|gz|jp2|jpe?g|png|tiff?))+$")
_SEGMENT_AT_THE_END = re.compile(rf"(?:^|[._])({'|'.join(sorted(SEGMENTS, key=len, reverse=True))})$")

#: What NASA calls its browse pictures, 20110215_013000_512_HMIB.jpg, and JSOC, 20110215_013000_M_1k.jpg.
#: Its pictures of several wavelengths or with drawn field lines have longer ones: 211193171, HMI171, 0171pfss.
_NASA = re.compile(r"_(?:256|512|1024|2048|3072|4096)_(\d{4,}\w*|\w*HMI\w*)\.\w+$")
_NASA_SEGMENTS = {"HMIB": "magnetogram", "HMIBC": "magnetogram in colour", "HMID": "dopplergram"}
_NASA_SEGMENTS |= dict.fromkeys(("HMII", "HMIIC", "HMIIF"), "continuum")
_JSOC_PICTURE = re.compile(r"^\d{8}_\d{6}_(M|M_color|Ic|Ic_flat|V)_(?:\d+k|\d{3,4})\.\w+$")
_JSOC_SEGMENTS = {"M": "magnetogram", "M_color": "magnetogram in colour", "V": "dopplergram"}
_JSOC_SEGMENTS |= dict.fromkeys(("Ic", "Ic_flat"), "continuum")
#: Helioviewer's names: 2011_02_15__01_30_00_123__SDO_AIA_AIA_193.jp2 (observatory, instrument, detector, measurement).
_HELIOVIEWER = re.compile(r"__([A-Za-z0-9-]+)_([A-Za-z0-9-]+)_([A-Za-z0-9-]+)_([A-Za-z0-9-]+)\.\w+$")
#: AIA's wavelengths in the names of JSOC, the VSO and Helioviewer: ...Z.171.image_lev1.fits, aia.lev1.171A_2011...
_AIA_WAVE = re.compile(r"(?<!\d)0{0,2}(94|131|171|193|211|304|335|1600|1700|4500)(?:a|_thin)?(?![\d])", re.IGNORECASE)

#: LMSAL's Sun Today has f0193.jpg and, of three wavelengths, f_211_193_171.jpg.
_LMSAL = re.compile(r"^[flt]_?(\d{4}|\d{2,4}(?:_\d{2,4})+)\.\w+$")
#: Which wavelengths AIA's four telescopes see, by the end of INSTRUME (Lemen et al. 2012, Solar Physics 275, 17).
_TELESCOPES = {"1": (131, 335), "2": (193, 211), "3": (171, 1600, 1700, 4500), "4": (94, 304)}
#: What other pictures of HMI call its segments: SOHO's site hmimag and hmiigr, SolarMonitor maglc, Helioviewer Mag.
_SHORT_SEGMENTS = dict.fromkeys(("magnetogram", "mag", "maglc", "hmimag"), "magnetogram")
_SHORT_SEGMENTS |= dict.fromkeys(("continuum", "ic", "igram", "hmiigr", "hmiic", "intensitygram"), "continuum")
_SHORT_SEGMENTS |= dict.fromkeys(("dopplergram", "hmidop"), "dopplergram")

#: SolarMonitor's and SOHO's own words for instruments, and the usual ones.
_ALSO = {
    "SHMI": "HMI", "SAIA": "AIA", "SMDI": "MDI", "MDIMAG": "MDI", "MDIIGR": "MDI", "SEIT": "EIT", "HXRT": "XRT",
    "TRCE": "TRACE", "STRA": "STEREO", "STRB": "STEREO", "HMIMAG": "HMI", "HMIIGR": "HMI",
}  # fmt: skip
#: Words by which headers and names tell other instruments, and the instrument they tell.
FOREIGN = {
    "SOHO": "SOHO", "EIT": "SOHO/EIT", "MDI": "SOHO/MDI", "LASCO": "SOHO/LASCO", "GONG": "GONG", "NSO": "GONG",
    "STEREO": "STEREO", "SECCHI": "STEREO", "EUVI": "STEREO/EUVI", "SOLO": "Solar Orbiter", "SOLARORBITER": "Solar Orbiter",
    "EUI": "Solar Orbiter/EUI", "SOPHI": "Solar Orbiter/PHI", "PHI": "Solar Orbiter/PHI", "ADITYA": "Aditya-L1",
    "SUIT": "Aditya-L1/SUIT", "SUT": "Aditya-L1/SUIT", "HINODE": "Hinode", "SOT": "Hinode/SOT", "XRT": "Hinode/XRT",
    "PROBA2": "PROBA2", "SWAP": "PROBA2/SWAP", "SUVI": "GOES/SUVI", "GOES": "GOES", "SXI": "GOES/SXI", "TRACE": "TRACE",
    "YOHKOH": "Yohkoh", "SXT": "Yohkoh/SXT", "SOLIS": "SOLIS", "KCOR": "MLSO/KCor", "ASOS": "ASO-S", "CHASE": "CHASE",
    "IRIS": "IRIS", "VSM": "SOLIS/VSM", "SVSM": "SOLIS/VSM", "FMG": "ASO-S/FMG", "KANZ": "Kanzelhöhe", "KHPI": "Kanzelhöhe",
    "BBSO": "BBSO", "HMI": "SDO/HMI", "AIA": "SDO/AIA", "EVE": "SDO/EVE",
}  # fmt: skip
#: Words that a file's name may have for other reasons: a flare of GOES' classes, the angle phi.
_NOT_IN_NAMES = {"GOES", "PHI", "NSO", "CHASE", "EVE", "TRACE"}
#: Names that have no such word: EIT's efz20110215.013000, EUVI's 20110215_013000_n4euA.fts, MDI's fd_M_96m_01d.0001.fits,
#: GONG's mrzqs110215t0104.fits and 20110215013000Lh.fits, Hinode's FG20110215_... and XRT20110215_..., SOLIS'
#: k4v9x110215t173214.fts, CHASE's RSM20211021T063050_..., LASCO's 20110215_0130_c2_512.jpg.
_NAMES = {
    r"^ef[zr]\d{6}": "SOHO/EIT", r"^\d{8}_\d{6}_.{2}eu[ab]": "STEREO/EUVI", r"^fd_m_96m": "SOHO/MDI",
    r"^mr[a-z]q[a-z]\d{6}": "GONG", r"^[a-z]{2}[zb]q[a-z]\d{6}": "GONG", r"^\d{14}[a-z]h\.": "GONG",
    r"^(fg|sp3d)\d{8}": "Hinode/SOT", r"^(l1_)?xrt\d{8}": "Hinode/XRT", r"^solo_": "Solar Orbiter",
    r"^k4v\w{2}\d{6}t": "SOLIS/VSM", r"^rsm\d{8}t": "CHASE", r"^\d{8}_\d{4,6}_c[23]_": "SOHO/LASCO", r"^aso-s": "ASO-S",
}  # fmt: skip
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), who) for pattern, who in _NAMES.items()]
_OWN_OBSERVATORY = ("SDO", "SOLARDYNAMICSOBSERVATORY")


def foreign(image: SolarImage, wanted: str) -> Iterator[str]:
    """What says that not ``wanted``, HMI or AIA, took the image: header cards, or the name if it names another alone."""
    header = image.header
    for key in ("TELESCOP", "OBSRVTRY", "INSTRUME", "DETECTOR", "ORIGIN", "DRMS_ID"):
        text = str(header.get(key, "")).partition(":")[0].strip()
        named = [FOREIGN[word] for word in _words(text) if word in FOREIGN and word != wanted]
        if key == "ORIGIN":  # an institute may name all instruments whose files it keeps
            named = [who for who in named if not who.startswith("SDO/")]
        strange = {
            "INSTRUME": not text.upper().startswith(wanted),
            "TELESCOP": not {*_words(text), _joined(text)} & {*_OWN_OBSERVATORY, wanted},
            "OBSRVTRY": not {*_words(text), _joined(text)} & {*_OWN_OBSERVATORY, wanted},
        }
        if text and (named or strange.get(key, False)):
            yield f"{key} is {header[key]!r}"
    name = image.path.name if image.path else ""
    words = _words(name)
    others = [FOREIGN[word] for word in words if word in FOREIGN and word not in _NOT_IN_NAMES and word != wanted]
    others += [who for pattern, who in _PATTERNS if pattern.search(name)]
    if others and wanted not in words:
        yield f"the file's name says {others[-1]}"


def of_another_segment(image: SolarImage, wanted: str) -> Sequence[str]:
    """What says that an image of HMI is of another segment than ``wanted`` (lower case)."""
    found = [where for said, where in _segments(image) if said != wanted]
    return list(dict.fromkeys(found))


def _segments(image: SolarImage) -> Iterator[tuple[str, str]]:
    """Each segment that header and name say, and the words for where."""
    header, name = image.header, image.path.name if image.path else ""
    for key in ("SEGMENT", "CONTENT"):
        text = str(header.get(key, "")).strip().lower()
        known = "continuum" if "intensity" in text else next((word for word in text.split() if word in SEGMENTS), "")
        if known:
            yield known, f"{key} is {header[key]!r}"
    series, _, rest = str(header.get("DRMS_ID", "")).partition(":")
    segment = rest.rpartition(":")[2].strip().lower()
    if segment:
        yield segment, f"DRMS_ID is {header['DRMS_ID']!r}"
    elif said := _of_series(series):
        yield said, f"DRMS_ID is {header['DRMS_ID']!r}"
    if _FLATTENED in series.lower():
        yield "continuum without limb darkening", f"DRMS_ID is {header['DRMS_ID']!r}"
    stem = _SUFFIXES.sub("", name.lower())
    at_the_end = _SEGMENT_AT_THE_END.search(stem)
    if at_the_end and not ("_" in at_the_end[0][:1] and at_the_end[1] not in PLAIN and "hmi" not in stem):
        yield at_the_end[1], f"the file's name says {name[at_the_end.start(1) : at_the_end.end(1)]!r}"
    said = _of_series(stem)
    if said and (said in PLAIN or at_the_end is None or at_the_end[1] in PLAIN):
        yield said, f"the file's name says that its series is of the {said}"
    if _FLATTENED in stem:
        yield "continuum without limb darkening", "the file's name says that its limb darkening was removed"
    for pattern, segments in ((_NASA, _NASA_SEGMENTS), (_JSOC_PICTURE, _JSOC_SEGMENTS)):
        if found := pattern.search(name):
            yield segments.get(found[1], f"AIA {found[1]}"), f"the file's name says {found[1]!r}"
    if component := _COMPONENT.search(name):
        yield "vector field", f"the file's name says {component[1]!r}"
    if at_the_end is None and "HMI" in _words(name):
        for word in re.findall(r"[a-z]+", stem):
            if word in _SHORT_SEGMENTS:
                yield _SHORT_SEGMENTS[word], f"the file's name says {word!r}"
    if (found := _HELIOVIEWER.search(name)) and found[3].upper() == "HMI":
        yield found[4].lower(), f"the file's name says {found[4]!r}"


def _of_series(text: str) -> str:
    found = _SERIES.search(text.lower())
    return SERIES[found[1]] if found else ""


def of_another_wave(image: SolarImage, wave: int) -> Sequence[str]:
    """What says that an image of AIA is of another wavelength than ``wave`` (angstrom), or no image of the Sun at all."""
    header, name = image.header, image.path.name if image.path else ""
    found = []
    length = header.get("WAVELNTH")
    if length and length != wave:
        found.append(f"WAVELNTH is {length!r}")
    telescope = re.fullmatch(r"AIA_?(\d)", str(header.get("INSTRUME", "")).strip())
    if telescope and not length and wave not in _TELESCOPES.get(telescope[1], (wave,)):
        found.append(f"INSTRUME is {header['INSTRUME']!r}, which does not see {wave}")
    if str(header.get("DRMS_ID", "")).endswith(":spikes") or _SUFFIXES.sub("", name.lower()).endswith(
        (".spikes", "_spikes")
    ):
        found.append("it is the list of cosmic-ray hits that AIA's level 1 comes with")
    nasa = _NASA.search(name) or _LMSAL.search(name)
    named = nasa[1] if nasa else ""
    if nasa is None and "AIA" in _words(name):
        waves = [match[1] for match in _AIA_WAVE.finditer(name)]
        if length == wave < 1000:  # HHMM of a time may be 1600 or 1700
            waves = [each for each in waves if len(each) < 4]
        named = waves[-1] if waves and str(wave) not in waves else ""
    if named and named.lstrip("0") != str(wave):
        found.append(f"the file's name says {named!r}")
    return found


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    """The words of ``text`` in upper case, without numbers and in their usual form: AIA_3 and saia are AIA."""
    found = re.findall(r"[A-Za-z]+\d*", text.replace("-", "_").upper())
    both = (word for each in found for word in (each, each.rstrip("0123456789")))
    return tuple(dict.fromkeys(_ALSO.get(word, word) for word in both))


@lru_cache(maxsize=1024)
def _joined(text: str) -> str:
    return re.sub(r"[^A-Z]", "", text.upper())

"""What the cards say about images and how to use them: sentences and snippets, each a function of the facts."""

from __future__ import annotations

from sdovis.cards import told
from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, blocks, code, lines, md, number, verbatim

#: The colours of a picture that three channels become, in this order.
COLOURS = ("red", "green", "blue")


def dataset_images(facts: Facts) -> Markdown:
    """What each image shows of the Sun, and what its colours stand for."""
    shown = ""
    if facts.cutout_arcsec:
        shown = f"Each is a cutout of {number(facts.cutout_arcsec)} arcsec, solar north up, rescaled to that size."
    elif facts.cutout_deg:
        shown = (
            f"Each is a cylindrical equal-area map of {number(facts.cutout_deg)} heliographic degrees centred on the "
            "region, north up."
        )
    shown = lines(shown, *_treated(facts))
    if len(facts.channels) == 1:
        return Markdown(shown)
    titles = [md(channel.title) for channel in facts.channels]
    return lines(
        shown,
        f"Three channels make a colour picture: {titles[0]} is its red, {titles[1]} its green,",
        f"{titles[2]} its blue.",
    )


def model_images(facts: Facts) -> Markdown:
    """The network's input: its size in pixels, the channels and their transforms, what an image shows of the Sun."""
    size = facts.network.size_px
    each = [f"{code(c.name)}, version {md(c.version)} ({md(c.title)}):" for c in facts.channels]
    sources = [md(channel.source) for channel in facts.channels]
    if len(each) == 1:
        return lines(
            f"The network takes {size} x {size} px of the channel", each[0], f"{sources[0]}.", _model_cutout(facts)
        )
    colours = zip(COLOURS, each, sources, strict=True)
    return blocks(
        f"The network takes {size} x {size} px of three channels as the colours of one picture:",
        lines(*(f"- {colour}: {channel}\n  {source}" for colour, channel, source in colours)),
        _model_cutout(facts),
    )


def _treated(facts: Facts) -> list[str]:
    """What was done to the pixels beyond cutting them out and coding them."""
    told = []
    if facts.neighbours == "mask":
        told += [
            "It shows its own region alone: what is nearer to another numbered region of the disc is replaced by quiet Sun",
            "made from the same image (`masked_share` says how much).",
        ]
    if facts.flatten:
        told.append("Each disc was divided by its own limb darkening.")
    return told


def _model_cutout(facts: Facts) -> str:
    told = [_model_window(facts), *_treated(facts)]
    if facts.neighbours == "mask":
        told += [
            "On other images this is done if the disc's other regions are named, as in `sdovis predict MODEL IMAGE --at S21W42",
            "--regions FILE` with NOAA's region summary of the day; without them an answer may be the neighbours'.",
        ]
    return lines(*told)


def _model_window(facts: Facts) -> str:
    if facts.cutout_arcsec:
        side = number(facts.cutout_arcsec)
        return f"Each image is a cutout of {side} arcsec around the region's position, solar north up."
    if facts.cutout_deg:
        side = number(facts.cutout_deg)
        return lines(
            f"Each image is a cylindrical equal-area map of {side} heliographic degrees centred on the region, on the",
            "scale of SHARP's CEA maps.",
        )
    return "Each image is taken whole, solar north up."


def _files(facts: Facts) -> list[str]:
    """One image file per channel, as a Python snippet names it."""
    if len(facts.channels) == 1:
        return ['"image.fits"']
    return [f'"{verbatim(channel.name)}.fits"' for channel in facts.channels]


def classify_files(facts: Facts) -> Markdown:
    """A line of Python that classifies image files with ``sdovis.pipeline``."""
    files = ", ".join(_files(facts))
    image = f"({files})" if len(facts.channels) > 1 else files
    return Markdown(f"print(classify({', '.join(filter(None, [image, told.given(facts)]))}))")


def ask_space(facts: Facts) -> Markdown:
    """Lines of Python that send image files to a Space to be classified."""
    files = [f"handle_file({file})" for file in _files(facts)]
    beside = f"**{told.for_the_page(facts)}, " if facts.fused else ""
    if len(files) == 1:
        return Markdown(f'answer = client.predict({files[0]}, {beside}api_name="/classify")')
    return lines(f"files = [{', '.join(files)}]", f'answer = client.predict(files, {beside}api_name="/classify")')


def upload(facts: Facts) -> Markdown:
    """What a visitor to the Space uploads, and gets."""
    if len(facts.channels) == 1:
        return Markdown(
            "Upload a FITS, PNG or JPEG image of the Sun: the model says which class it shows and where it looked."
        )
    titles = ", ".join(md(channel.title) for channel in facts.channels)
    return lines(
        f"Upload the FITS files of one region in three channels ({titles}), or the",
        "colour picture that sdovis saved: the model says which class it shows and where it looked.",
    )

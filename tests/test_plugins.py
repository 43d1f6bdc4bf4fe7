from importlib.metadata import EntryPoint

import pytest
from sdovis import plugins
from sdovis.channels.channel import channel
from sdovis.errors import BadInput
from sdovis.evaluation.metrics import spec
from sdovis.labels.augmentations import augmentation
from sdovis.release.targets import target
from sdovis.study import reader


@pytest.fixture
def registered(monkeypatch, fresh_plugins):
    """Entry points made for a test; what they load is real."""

    def register(*points: tuple[str, str], group: str = "sdovis.labels") -> None:
        made = [EntryPoint(name, value, group) for name, value in points]
        monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in made if p.group == group])

    return register


def test_the_built_ins_come_in_by_the_same_door_as_strangers():
    assert {"mount-wilson", "mount-wilson-3", "mcintosh-z", "activity", "flare", "sdo-vt1", "column"} <= set(
        plugins.names("sdovis.labels")
    )
    assert "spreadsheet" in plugins.names("sdovis.readers")


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_every_built_in_loads(group):
    assert plugins.names(group)
    for name in plugins.names(group):
        assert plugins.load(group, name) is not None


def test_an_unknown_name_shows_the_nearest(registered):
    registered(("magnetic", "math:pi"))
    with pytest.raises(BadInput, match=r"labels: 'magnetik' is unknown; did you mean 'magnetic'\?"):
        plugins.load("sdovis.labels", "magnetik")


def test_a_name_claimed_twice_is_refused(registered):
    registered(("twice", "math:pi"), ("twice", "math:e"))
    with pytest.raises(BadInput, match="'twice' is registered by"):
        plugins.load("sdovis.labels", "twice")


def test_a_plug_in_that_fails_to_import_names_its_distribution(registered):
    registered(("broken", "no_such_module:x"))
    with pytest.raises(BadInput, match="plug-in 'broken' of an unknown distribution fails to import"):
        plugins.load("sdovis.labels", "broken")


@pytest.mark.parametrize(
    ("group", "look_up", "wanted"),
    [
        ("readers", reader, "Reader"),
        ("channels", channel, "Channel"),
        ("augmentations", augmentation, "Augmentation"),
        ("metrics", spec, "MetricSpec"),
        ("targets", target, "Callable"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_plug_in_of_another_kind_is_refused_by_what_it_must_be(registered, group, look_up, wanted):
    registered(("pi", "math:pi"), group=f"sdovis.{group}")
    message = f"{group}: plug-in 'pi' of an unknown distribution is of type float but must be of type {wanted}"
    with pytest.raises(BadInput, match=message):
        look_up("pi")

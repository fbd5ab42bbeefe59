"""The cuts: enough of them, a third held out, none silent, and every recording with its credit."""

from importlib import resources

import pytest

from scalinv_utils.benchmark.cuts import CUTS, DATA, sound
from scalinv_utils.course import signals


def test_there_are_enough_cuts_of_enough_kinds_and_a_third_is_held_out():
    held_out = [cut for cut in CUTS.values() if cut.held_out]
    assert len(CUTS) >= 30 and 3 * len(held_out) == len(CUTS)
    assert len({cut.recording for cut in CUTS.values()}) >= 10
    kinds = {cut.kind for cut in CUTS.values()}
    assert kinds == {"voice", "tone", "drum", "noise-like", "animal", "ECG"}
    # There is only one recording of an animal.
    assert {cut.kind for cut in held_out} == kinds - {"animal"}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_is_there_and_is_no_silence(name):
    x, rate = sound(name, 2048)
    assert rate == CUTS[name].sample_rate and len(x) == min(2048, CUTS[name].samples)
    assert x.std() > 0.003
    assert len(sound(name, 10**6)[0]) == CUTS[name].samples


def test_held_out_cuts_share_no_sample_with_the_others():
    spans = [
        (cut.recording, cut.held_out, cut.start, cut.start + 2048 / cut.sample_rate)
        for cut in CUTS.values()
        if cut.recording != "ecg"  # its cuts have 512 samples
    ]
    for recording, held_out, start, end in spans:
        for other, other_held_out, begin, stop in spans:
            if recording == other and held_out != other_held_out:
                assert end <= begin or stop <= start
    first, second = (sound(f"ecg {k}", 2048)[0] for k in (1, 2))
    whole = signals.recording("ecg")[0]
    assert first.equal(whole[:512]) and second.equal(whole[512:])


def test_every_excerpt_has_its_credit():
    credits = (DATA / "CREDITS.md").read_text(encoding="utf-8")
    files = {path.name for path in DATA.iterdir() if path.name.endswith(".flac")}
    used = {cut.recording for cut in CUTS.values()} - {*signals.RECORDINGS}
    assert files == {f"{name}.flac" for name in used}
    assert all(f"| {name} |" in credits for name in files)
    with resources.as_file(DATA) as folder:
        assert sum((folder / name).stat().st_size for name in files) < 600_000


def test_an_unknown_cut_is_refused():
    with pytest.raises(ValueError, match="name must be one of 'speech 1'"):
        sound("whale 1", 2048)

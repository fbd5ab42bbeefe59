"""Exercises of notebook 10, your own sound."""

from typing import Any

from ._machinery import compare, exercise


def verdict(consistency, waveform, island):
    """Choose A: not arrived; B: the original; C: right part by part; or D: fits and is wrong."""
    if consistency > -20:
        return "A"
    if waveform < -20:
        return "B"
    return "C" if island < -20 else "D"


def _trusts_the_picture(consistency, waveform, island):
    return "B" if consistency < -20 else "A"


def _forgets_the_islands(consistency, waveform, island):
    return "A" if consistency > -20 else "B" if waveform < -20 else "D"


def _islands_first(consistency, waveform, island):
    return "C" if island < -20 else verdict(consistency, waveform, island)


def _higher_is_better(consistency, waveform, island):
    return verdict(-40 - consistency, -40 - waveform, -40 - island)


@exercise(
    "10.1",
    "Read three scores: which of A to D do they say?",
    "Ask the questions one after the other, the weakest first. Does the scalogram fit at all? If "
    "so: is it the waveform? If not: is it the waveform part by part? Lower is better, and -20 dB "
    "is an error of a tenth.",
    verdict,
    [_trusts_the_picture, _forgets_the_islands, _islands_first, _higher_is_better],
    "The order matters: a waveform error near 0 dB means one thing where the islands are right, "
    "and quite another where they are not.",
)
def check_verdict(answer: Any) -> str | None:
    """Check the answer to exercise 10.1 on seven sets of scores."""
    for scores in [
        (-5, -1, -1),
        (-130, -120, -121),
        (-135, 2, -138),
        (-31, -6, -6),
        (-12, -4, -25),
        (-40, -26, -26),
        (-100, -30, -15),
    ]:
        expected, got = verdict(*scores), answer(*scores)
        if str(got).strip().upper() != expected:
            c, w, i = scores
            return (
                f"with a consistency of {c} dB, a waveform error of {w} dB and an island error "
                f"of {i} dB the answer should be {expected}, and is {got!r}."
            )
    return None


def megabytes(seconds, rate, octaves, voices):
    """Compute the size of an array of complex coefficients, 16 bytes each, in million bytes."""
    return 16 * seconds * rate * octaves * voices / 1e6


def _of_reals(seconds, rate, octaves, voices):
    return 8 * seconds * rate * octaves * voices / 1e6


def _of_the_sound(seconds, rate, octaves, voices):
    return 16 * seconds * rate / 1e6


def _in_bytes(seconds, rate, octaves, voices):
    return 16 * seconds * rate * octaves * voices


def _powers_of_two(seconds, rate, octaves, voices):
    return 16 * seconds * rate * voices * 2**octaves / 1e6


@exercise(
    "10.2",
    "How many megabytes do the coefficients of a sound take?",
    "There is one coefficient for each row at each sample. How many rows are `octaves` octaves of "
    "`voices` voices? A complex number in double precision is two numbers of 8 bytes.",
    megabytes,
    [_of_reals, _of_the_sound, _in_bytes, _powers_of_two],
    "One second at 8 kHz, from 50 Hz to 4 kHz with 32 rows per octave, is 26 MB; a song of three "
    "minutes at 44.1 kHz, from 50 Hz to 22 kHz, would be 36 GB. A method holds several such arrays "
    "at once.",
)
def check_megabytes(answer: Any) -> str | None:
    """Check the answer to exercise 10.2 on three sounds."""
    for case in [(1.0, 8000, 6.3, 32), (180.0, 44100, 9.1, 32), (0.25, 16000, 5.0, 8)]:
        seconds, rate, octaves, voices = case
        complaint = compare(
            answer(*case),
            megabytes(*case),
            f"the memory for {seconds:g} s at {rate} Hz, {octaves:g} octaves of {voices} voices",
            rtol=0.03,  # octaves * voices + 1 rows are right as well
        )
        if complaint:
            return complaint
    return None

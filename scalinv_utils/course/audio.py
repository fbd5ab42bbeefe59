"""Players that let level differences be heard, and sound files that do not clip.

Players that scale every sound to full level hide a loss of amplitude and turn near-silence into a
roar. Here all the sounds of a table share ONE gain. The levels stand below the players in decibels,
for those who cannot listen.
"""

import base64
import html
import io
import math

from .._validation import check_choice, check_positive, check_signal
from .signals import resample

__all__ = ["FULL_SCALE", "Players", "player", "players", "save_wav"]

#: Nothing is played or saved above this share of full scale.
FULL_SCALE = 0.9

# No gain beyond 40 dB: what is silence but for rounding must stay silence.
LARGEST_GAIN = 100.0

# As many players as fit beside each other into a cell of JupyterLab on a laptop, and their width.
COLUMNS, WIDTH = 3, "16em"

# Browsers refuse rates below 3 kHz; 8 to 48 kHz is what all of them play.
LOWEST_RATE, PLAYED_RATES = 3000, (8000, 48000)


class Players:
    """A table of audio players, three sounds to a row: the result of `player` and `players`.

    Attributes
    ----------
    gain : float
        The one factor that all the sounds were multiplied by.
    levels : dict of str to str
        RMS and peak of each sound in words: of the first one relative to an amplitude of 1, of the
        others relative to the first one.
    """

    def __init__(self, sources, gain, levels):
        self._sources = sources
        self.gain = gain
        self.levels = levels

    def _repr_html_(self):
        # th and td carry everything: JupyterLab strips scripts, style sheets and most ARIA
        # attributes from the outputs of notebooks that it does not trust yet.
        columns = [
            (
                f'<th scope="col">{html.escape(label)}</th>',
                _audio(html.escape(label), uri),
                f"<td>{html.escape(self.levels[label])}</td>",
            )
            for label, uri in self._sources.items()
        ]
        blocks = [columns[k : k + COLUMNS] for k in range(0, len(columns), COLUMNS)]
        rows = "".join(f"<tr>{''.join(row)}</tr>" for block in blocks for row in zip(*block))
        return (
            f"<table><tbody>{rows}</tbody></table>"
            f"<p><small>{self._gain_note()} Lower your volume before the first one.</small></p>"
        )

    def __repr__(self):
        lines = [f"{label}: {level}" for label, level in self.levels.items()]
        return "\n".join([*lines, self._gain_note()])

    def _gain_note(self):
        subject = "Played with a gain" if len(self._sources) == 1 else "All played with one gain"
        return f"{subject} of {_db(self.gain, 1.0)}."


def player(x, sample_rate, label="sound", speed=1.0):
    """One sound with its player. Parameters and errors as for `players`."""
    return players({label: x}, sample_rate, speed)


def players(sounds, sample_rate, speed=1.0):
    """Labelled players side by side, all with the same gain.

    Parameters
    ----------
    sounds : dict of str to array, each of shape (n_samples,)
        Real mono signals; their lengths may differ.
    sample_rate : float
        Samples per second.
    speed : float
        Play this many times faster, and so higher: makes an electrocardiogram audible.

    Returns
    -------
    Players
        Shows itself in a notebook. The gain brings the loudest peak to 0.9 of full scale, but
        amplifies by 40 dB at most; silence is left alone.

    Raises
    ------
    TypeError
        `sounds` is no dict; a complex signal.
    ValueError
        A signal that is not mono or not finite, or a rate that no browser plays.
    """
    if not isinstance(sounds, dict):
        raise TypeError(
            f"sounds must be a dict of label to signal, got {type(sounds).__name__}; "
            f"player(x, sample_rate) takes a single signal"
        )
    if not sounds:
        raise ValueError("sounds must hold at least one signal, got an empty dict")
    sounds = {str(label): _mono(x, f"sounds[{label!r}]") for label, x in sounds.items()}
    rate = _played_rate(sample_rate, speed)
    # Resampling overshoots between the samples: the gain looks at what is played.
    played = {label: resample(x, sample_rate * speed, rate) for label, x in sounds.items()}
    gain = _shared_gain(played.values())
    sources = {label: _wav_uri(gain * x, rate) for label, x in played.items()}
    return Players(sources, gain, _levels(sounds))


def save_wav(path, x, sample_rate, encoding="pcm16"):
    """Write a mono WAV file that does not clip.

    Parameters
    ----------
    path : str, path or binary file object
    x : array, shape (n_samples,)
    sample_rate : float
        Samples per second; rounded to whole hertz, since the format has no other.
    encoding : "pcm16" or "float64"
        "pcm16" plays everywhere. The level is kept, unless the peak exceeds 0.9: then the whole
        signal is turned down to that. "float64" stores the samples as they are.

    Returns
    -------
    float
        The gain that was applied; 1 means that the level is the signal's own.

    Raises
    ------
    TypeError
        A complex signal.
    ValueError
        A signal that is not mono or not finite, or an unknown encoding.
    """
    import soundfile

    x = _mono(x, "x").double()
    rate = max(1, round(check_positive(sample_rate, "sample_rate")))
    check_choice(encoding, ("pcm16", "float64"), "encoding")
    peak = float(x.abs().max())
    gain = FULL_SCALE / peak if encoding == "pcm16" and peak > FULL_SCALE else 1.0
    subtype = {"pcm16": "PCM_16", "float64": "DOUBLE"}[encoding]
    soundfile.write(path, (gain * x).numpy(), rate, format="WAV", subtype=subtype)
    return gain


def _audio(label, uri):
    """One cell of the table, label escaped already."""
    return (
        f'<td><audio controls preload="metadata" style="width:{WIDTH}" title="{label}" '
        f'src="{uri}"></audio></td>'
    )


def _mono(x, name):
    return check_signal(x, name=name, ndim=1).detach().cpu()


def _shared_gain(sounds):
    """The gain that brings the loudest of all peaks to full scale, within reason."""
    peak = max(float(x.abs().max()) for x in sounds)
    return 1.0 if peak == 0 else min(FULL_SCALE / peak, LARGEST_GAIN)


def _played_rate(sample_rate, speed):
    """Whole samples per second in the file that the browser gets."""
    rate = check_positive(sample_rate, "sample_rate") * check_positive(speed, "speed")
    if rate < LOWEST_RATE:
        enough = math.ceil(PLAYED_RATES[0] / sample_rate)
        raise ValueError(
            f"sample_rate must be at least {LOWEST_RATE} Hz for a browser to play it, got "
            f"{sample_rate:.6g} Hz at speed {speed:g}; speed={enough} makes it {enough} times "
            f"faster and higher"
        )
    lowest, highest = PLAYED_RATES
    return min(max(round(rate), lowest), highest)


def _levels(sounds):
    """RMS and peak of each sound in words; the first one is the reference of the others."""
    measured = {label: _rms_and_peak(x) for label, x in sounds.items()}
    first, reference = next(iter(measured.items()))
    texts = {first: _level(*reference)}
    for label in list(measured)[1:]:
        if reference[1] > 0:
            texts[label] = _level(*measured[label], *reference, f" re {first}")
        else:
            texts[label] = _level(*measured[label])
    return texts


def _level(rms, peak, reference_rms=1.0, reference_peak=1.0, note=""):
    if peak == 0:
        return "silence"
    return f"RMS {_db(rms, reference_rms)}, peak {_db(peak, reference_peak)}{note}"


def _rms_and_peak(x):
    """Both in the units of x; the RMS of x over its peak neither under- nor overflows."""
    peak = float(x.abs().max())
    return (peak * float((x / peak).square().mean().sqrt()) if peak else 0.0), peak


def _db(value, reference):
    return f"{20 * (math.log10(value) - math.log10(reference)):+.1f} dB"


def _wav_uri(x, rate):
    """The samples as a 16-bit WAV inside a data URI."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, x.numpy(), rate, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()

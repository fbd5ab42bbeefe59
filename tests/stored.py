"""A notebook whose outputs are those that the first screen of the site looks for."""

import json

import torch

from scalinv_utils.course import audio, signals

RATE = 8000
SCORES = """\
random phase   consistency    -0.3 dB     waveform error    -0.0 dB
Griffin-Lim    consistency   -30.4 dB     waveform error    -3.4 dB
recover        consistency  -202.2 dB     waveform error  -191.9 dB
"""


def sounds():
    """A word, a noise 26 dB below it, the word with a wrong tone, and the word."""
    x = signals.fade(signals.recording("speech", RATE, 4096, start=0.54)[0], RATE)
    noise = signals.white_noise(4096, seed=0)
    noise *= 0.05 * x.norm() / noise.norm()
    tone = signals.tones(4096, RATE, [700])
    wrong = x + 0.7 * x.norm() / tone.norm() * tone
    return {"the word": x, "random phase": noise, "Griffin-Lim": wrong, "recover": x.clone()}


def write(path, heard, printed=SCORES):
    """Store a notebook with two sets of players, the second one of `heard`, and `printed`."""
    sets = [audio.player(torch.ones(800), RATE, "the word"), audio.players(heard, RATE)]
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)},
        *(
            {"output_type": "execute_result", "data": {"text/html": [s._repr_html_()]}}
            for s in sets
        ),
    ]
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]
    path.write_text(json.dumps({"cells": cells}), "utf-8")
    return path

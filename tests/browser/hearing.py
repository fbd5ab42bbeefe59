"""What a page sounds like, measured where the sound leaves it, and whether everybody can use it.

An analyser hangs on whatever a page connects to the destination of an AudioContext.
"""

import math

import pytest

LISTEN = """(() => {
    const connect = AudioNode.prototype.connect, ears = new Map();
    AudioNode.prototype.connect = function (target, ...rest) {
        if (target instanceof AudioDestinationNode) {
            const { context } = this;
            if (!ears.has(context)) ears.set(context, new AnalyserNode(context, {fftSize: 4096}));
            connect.call(this, ears.get(context));
        }
        return connect.call(this, target, ...rest);
    };
    window.contexts = () => ears.size;
    // Once fades and the window of the analyser have passed, on the clock of the sound.
    window.heard = async () => {
        const samples = new Float32Array(4096), pause = () => new Promise(r => setTimeout(r, 20));
        while (ears.size === 0) await pause();
        const [[context, ear]] = ears, start = context.currentTime;
        while (context.currentTime < start + 0.2) await pause();
        ear.getFloatTimeDomainData(samples);
        return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
    };
})()"""


def level(page):
    """The level of what is heard now, RMS in dB."""
    return 20 * math.log10(max(page.evaluate("heard()"), 1e-9))


def check_with_axe(page):
    """axe finds nothing serious on the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: .[test]")
    findings = axe.Axe().run(page).response["violations"]
    assert [f["id"] for f in findings if f["impact"] in ("serious", "critical")] == []

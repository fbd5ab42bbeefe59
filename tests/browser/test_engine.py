"""The JavaScript engine of the web pages, number by number against the package.

The scripts are loaded as a page that is opened from a file loads them, in their order.
"""

import base64

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram, griffin_lim, metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery._phase_gradient import integrate_phase
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.tools.environment import ROOT

pytestmark = pytest.mark.browser

ASSETS = ROOT / "scalinv_utils/tools/site/assets"
PARTS = ("fft", "bank", "metrics", "griffin_lim", "heap", "phase_gradient", "engine_worker")
N, RATE, F_MIN = 1024, 8000, 200

# Arrays travel as the bytes of their float64 numbers: as JSON they would take most of the time.
HELPERS = """
    globalThis.E = scalinvEngine;
    globalThis.arrayOf = (text) =>
        new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    globalThis.textOf = (array) => {
        const bytes = new Uint8Array(Float64Array.from(array).buffer);
        let text = "";
        for (let k = 0; k < bytes.length; k += 8192)
            text += String.fromCharCode(...bytes.subarray(k, k + 8192));
        return btoa(text);
    };
"""


class Engine:
    """The engine in a page: expressions in, arrays out."""

    def __init__(self, page, folder):
        file = folder / "engine.html"
        scripts = "".join(
            f'<script src="{(ASSETS / name).as_uri()}.js"></script>' for name in PARTS
        )
        file.write_text(f"<!doctype html><title>engine</title>{scripts}<script>{HELPERS}</script>")
        self.page = page
        page.goto(file.as_uri())

    def make_bank(self, W, **options):
        self.page.evaluate(
            "options => { globalThis.bank = new E.Bank(options); }",
            {"n": W.n_samples, "rate": W.sample_rate, "fMin": F_MIN, **options},
        )

    def array(self, expression, *args):
        """Evaluate an expression in arrays a, b, ... whose value is an array."""
        return _decoded(self._evaluate(f"textOf({expression})", args))

    def arrays(self, expression, *args):
        """Evaluate an expression whose value is an array of arrays."""
        return [_decoded(text) for text in self._evaluate(f"({expression}).map(textOf)", args)]

    def number(self, expression, *args):
        return self._evaluate(expression, args)

    def _evaluate(self, expression, args):
        names = ", ".join("abcd"[: len(args)])
        coded = [base64.b64encode(_bytes(arg)).decode() for arg in args]
        return self.page.evaluate(
            f"texts => (({names}) => {expression})(...texts.map(arrayOf))", coded
        )


def _bytes(x):
    return np.ascontiguousarray(x, dtype=np.float64).tobytes()


def _decoded(text):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), np.float64).copy())


@pytest.fixture(scope="module")
def engine(context, tmp_path_factory):
    page = context.new_page()
    engine = Engine(page, tmp_path_factory.mktemp("engine"))
    engine.make_bank(_transform(), peak=_transform().peak)
    yield engine
    page.close()


def _transform(n=N, f_min=F_MIN):
    return Scalogram(n, RATE, wavelet="cauchy", voices_per_octave=32, f_min=f_min)


@pytest.fixture(scope="module")
def W():
    return _transform()


@pytest.fixture(scope="module")
def x(W):
    return W.project(signals.recording("speech", sample_rate=RATE, n_samples=N)[0])


@pytest.fixture(scope="module")
def S(W, x):
    return W.magnitude(x)


def _apart_db(result, expected):
    return metrics.misfit_db(result.flatten(), expected.flatten())


def test_the_transform_agrees_to_rounding(engine, W):
    noise = signals.white_noise(N, seed=3)  # fills the band, and what is outside it
    assert _apart_db(engine.array("bank.frequencies"), W.frequencies) < -300
    assert _apart_db(engine.array("bank.magnitude(a)", noise), W.magnitude(noise)) < -250
    assert _apart_db(engine.array("bank.project(a)", noise), W.project(noise)) < -280


def test_the_exact_peak_differs_from_the_one_found_numerically_by_little(engine, W, S, x):
    magnitude = engine.array(f"new E.Bank({{n: {N}, fMin: {F_MIN}}}).magnitude(a)", x)
    assert _apart_db(magnitude, S) < -140


def test_the_inverse_is_the_packages_for_coefficients_that_no_signal_has(engine, W, S):
    phase = 6 * torch.rand(S.shape, generator=torch.Generator().manual_seed(0)).double()
    inverse = engine.array("bank.fromPolar(a, b)", S, phase)
    assert _apart_db(inverse, W.inverse(torch.polar(S, phase))) < -250


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_takes_the_same_steps(engine, W, S, momentum):
    start = W.project(signals.white_noise(N, seed=1))
    expected = griffin_lim(S, W, n_iter=6, momentum=momentum, init=start, keep_every=1).iterates
    steps = engine.arrays(
        f"(gl => Array.from({{length: 6}}, () => gl.step()))(new E.GriffinLim(bank, a, b, "
        f"{momentum}))",
        S,
        start,
    )
    assert len(expected) == 7
    for step, (_, iterate) in zip(steps, expected[1:], strict=True):
        assert _apart_db(step, iterate) < -200


def test_the_gradient_of_the_phase_agrees_where_there_is_sound(engine, W, S):
    """The weights of the rows solve equations of condition 1e14; they round differently."""
    loud = S > 1e-3 * S.max()
    found = engine.arrays("new E.PhaseGradient(bank).of(a)", S)
    for ours, expected in zip(found, phase_derivatives(S, W)):
        assert _apart_db(ours.reshape(S.shape)[loud], expected[loud]) < -90


def test_the_heap_adds_up_a_gradient_as_the_package_does(engine, W, S):
    in_time, in_scale = phase_derivatives(S, W)
    phase, order, n_islands = integrate_phase(S, W, in_time, in_scale, torch.zeros_like(S))
    paths, step = f"new E.Paths(a, {W.n_freqs}, {N})", np.log(2) / 32
    ours = engine.array(
        f"(phase => ({paths}.addUp(b, c, {step}, phase), phase))(new Float64Array(a.length))",
        S,
        in_time,
        in_scale,
    )
    assert engine.number(f"{paths}.islands", S) == n_islands
    assert torch.equal(engine.array(f"{paths}.points", S).long(), _in_order(order))
    assert _apart_db(ours, phase) < -200


def _in_order(order):
    """Turn the rank of each point into the points by rank."""
    reached = order.flatten() >= 0
    return order.flatten().argsort(stable=True)[(~reached).sum() :]


def test_the_levels_are_those_of_metrics(engine, W, S, x):
    other = x + 0.1 * W.project(signals.white_noise(N, seed=2))
    error = engine.number("E.waveformErrorDb(bank.fft, a, b)", other, x)
    assert error == pytest.approx(metrics.waveform_error_db(other, x), abs=1e-9)
    fit = engine.number("E.consistencyDb(bank, a, b)", other, S)
    assert fit == pytest.approx(metrics.consistency_db(other, S, W), abs=1e-9)
    turned = metrics.hilbert_rotation(x, 1.0)
    assert _apart_db(engine.array("E.align(bank.fft, a, b)", turned, x), x) < -250
    assert engine.number("E.consistencyDb(bank, a, b)", x, 0 * S + S) < -200


@pytest.mark.parametrize("name", ["speech", "choir"])
def test_it_recovers_half_a_second(engine, name):
    """The bank as the page makes it; -115 and -116 dB after one round, -154 and -142 after two."""
    x = signals.recording(name, sample_rate=RATE, n_samples=4096)[0]
    truth, *signals_found = engine.arrays(
        "((bank) => { const x = bank.project(a); return [x, ...[...E.recover("
        "bank, bank.magnitude(x), { rounds: 2 })].filter(s => s.step === 10).map(s => s.x)]; })"
        "(new E.Bank())",
        x,
    )
    assert _apart_db(truth, _transform(4096, 60).project(x)) < -120
    heap, _, last = (metrics.waveform_error_db(y, truth) for y in signals_found)
    assert heap < -60
    assert last < -130


def test_silence_is_recovered_as_silence(engine, W):
    (steps, most) = engine.arrays(
        "(xs => [[xs.length], [Math.max(...xs.map(x => Math.max(...x)))]])"
        "([...E.recover(bank, a, { rounds: 1 })].map(s => s.x))",
        torch.zeros(W.shape),
    )
    assert steps == 11
    assert most == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("new E.FFT(1000)", "power of two, got 1000"),
        ("new E.PhaseGradient(new E.Bank({n: 256, fMin: 3500}))", "13 rows are needed, got 7"),
    ],
)
def test_what_it_cannot_take_is_refused(engine, call, message):
    said = engine.page.evaluate(
        f"() => {{ try {{ {call}; }} catch (error) {{ return error.message; }} }}"
    )
    assert message in said

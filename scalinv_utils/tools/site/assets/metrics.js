"use strict";

// Levels and errors in dB, as scalinv_utils.metrics defines them.

(() => {
  function metrics(engine) {
    // 20 log10 of a ratio of norms: -Infinity for silence.
    const decibels = (ratio) => 20 * Math.log10(ratio);

    const rms = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);

    // || M - S || / || S ||, two scalograms; with M = |W x| the consistency of x.
    function misfitDb(M, S) {
      let error = 0, total = 0;
      for (let k = 0; k < S.length; k++) {
        error += (M[k] - S[k]) ** 2;
        total += S[k] ** 2;
      }
      return error === 0 ? -Infinity : decibels(Math.sqrt(error / total));
    }

    const consistencyDb = (bank, x, S) => misfitDb(bank.magnitude(x), S);

    // The spectra of the analytic signals of x and ref, that of x turned by the one phase
    // theta = arg <x_a, ref_a> which brings it closest: [x_r, x_i, ref_r, ref_i].
    function aligned(fft, x, ref) {
      const spectra = [x, ref].map((signal) => analytic(fft, signal));
      const [[xr, xi], [rr, ri]] = spectra;
      let cos = 0, sin = 0;
      for (let k = 0; k < fft.n; k++) {
        cos += xr[k] * rr[k] + xi[k] * ri[k];
        sin += xr[k] * ri[k] - xi[k] * rr[k];
      }
      const length = Math.hypot(cos, sin);
      if (length > 0) turn(xr, xi, cos / length, sin / length);
      return [xr, xi, rr, ri];
    }

    // Positive frequencies twice, negative ones not; 0 Hz and Nyquist stay, having no partner.
    function analytic(fft, x) {
      const re = Float64Array.from(x), im = new Float64Array(fft.n), half = fft.n / 2;
      fft.forward(re, im);
      for (let k = 1; k < fft.n; k++) {
        const weight = k < half ? 2 : k === half ? 1 : 0;
        re[k] *= weight;
        im[k] *= weight;
      }
      return [re, im];
    }

    function turn(re, im, cos, sin) {
      for (let k = 0; k < re.length; k++) {
        [re[k], im[k]] = [re[k] * cos - im[k] * sin, re[k] * sin + im[k] * cos];
      }
    }

    // min over theta of || exp(i theta) x_a - ref_a || / || ref_a ||
    function waveformErrorDb(fft, x, ref) {
      const [xr, xi, rr, ri] = aligned(fft, x, ref);
      let error = 0, total = 0;
      for (let k = 0; k < fft.n; k++) {
        error += (xr[k] - rr[k]) ** 2 + (xi[k] - ri[k]) ** 2;
        total += rr[k] ** 2 + ri[k] ** 2;
      }
      return error === 0 ? -Infinity : decibels(Math.sqrt(error / total));
    }

    // The rotation Re(exp(i theta) x_a) of x that is closest to ref.
    function align(fft, x, ref) {
      const [re, im] = aligned(fft, x, ref);
      fft.inverse(re, im);
      return re;
    }

    Object.assign(engine, { decibels, rms, misfitDb, consistencyDb, waveformErrorDb, align });
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(metrics);
  metrics(engine);
})();

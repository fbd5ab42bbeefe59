"use strict";

// The scalogram of a real signal by Cauchy wavelets, and its exact inverse; periodic in time.
//
//     frequencies  f_j = f_max 2^(-j/V),  j = 0, 1, ... down to f_min          V voices per octave
//     wavelet      psi(v) = 2 (v/beta)^beta exp(beta - v), v > 0;  largest, 2, at v = beta
//     filter       h_j[k] = psi(beta k/n rate/f_j)    at the DFT bins k = 0 ... n/2;  half at n/2
//     analysis     c_j = IDFT(h_j X)                complex: no filter passes negative frequencies
//     scalogram    S = |c|
//     inverse      x = Re IDFT(A/D),  A = sum over j of h_j DFT(c_j),  D = 1/2 sum over j of h_j^2
//
// The inverse is that of the frame operator: it is exact for the c of a signal, and gives for any
// other c the signal whose coefficients are closest. It covers the bins where D is at least a
// thousandth of its largest value: below f_min the filters hear nothing. These are the filters of
// scalinv_utils.Scalogram(n, rate, wavelet="cauchy"). The coefficients of all rows would take much
// memory, so they are handed from row to row in one pair of arrays.

(() => {
  function bank(engine) {
    const BAND_FLOOR = 1e-3, NEGLIGIBLE = 1e-20;

    class Bank {
      // `peak` is where psi is largest. Its exact place is beta; Scalogram finds it numerically.
      constructor({ n = 4096, rate = 8000, voices = 32, fMin = 60, fMax, beta = 30, peak } = {}) {
        Object.assign(this, { n, rate, voices, beta, peak: peak ?? beta, fft: new engine.FFT(n) });
        const highest = fMax ?? rate / 2;
        const octaves = Math.log2(highest / fMin);
        this.rows = Math.floor(voices * octaves + 1e-9) + 1;
        this.frequencies = Float64Array.from(
          { length: this.rows }, (_, j) => highest * 2 ** (-j / voices));
        this.filters = Array.from(this.frequencies, (f) => this.filter(f));
        this.gain = this.frameOperator();
        this.re = new Float64Array(n);
        this.im = new Float64Array(n);
      }

      // The values h[first], h[first + 1], ... that are not negligible, as {first, h}.
      filter(frequency) {
        const { n, rate, beta, peak } = this, half = n / 2, h = new Float64Array(half + 1);
        for (let k = 1; k <= half; k++) {
          const v = (peak * k * rate) / (n * frequency);
          h[k] = 2 * Math.exp(beta * Math.log(v / beta) + beta - v) * (k === half ? 0.5 : 1);
        }
        const kept = (value) => value >= 2 * NEGLIGIBLE;
        const first = h.findIndex(kept);
        return { first, h: h.slice(first, h.findLastIndex(kept) + 1) };
      }

      // D over the bins 0 ... n/2, zero outside the band.
      frameOperator() {
        const gain = new Float64Array(this.n / 2 + 1);
        for (const { first, h } of this.filters) {
          h.forEach((value, k) => { gain[first + k] += (value * value) / 2; });
        }
        gain[this.n / 2] *= 2; // this bin is its own negative
        const floor = BAND_FLOOR * gain.reduce((a, b) => Math.max(a, b));
        gain[this.n / 2] = 0; // it has no Hilbert partner
        return gain.map((value) => (value >= floor ? value : 0));
      }

      spectrum(x) {
        const re = Float64Array.from(x), im = new Float64Array(this.n);
        this.fft.forward(re, im);
        return [re, im];
      }

      // Write the coefficients of one row, c_j = IDFT(h_j X), into (re, im).
      coefficients([xr, xi], row, re, im) {
        const { first, h } = this.filters[row];
        re.fill(0);
        im.fill(0);
        for (let k = 0; k < h.length; k++) {
          re[first + k] = h[k] * xr[first + k];
          im[first + k] = h[k] * xi[first + k];
        }
        this.fft.inverse(re, im);
      }

      // Call visit(row, re, im) with the coefficients of each row.
      analyse(x, visit) {
        const X = this.spectrum(x);
        for (let row = 0; row < this.rows; row++) {
          this.coefficients(X, row, this.re, this.im);
          visit(row, this.re, this.im);
        }
      }

      // The inverse of the coefficients that fill(row, re, im) writes.
      synthesise(fill) {
        const { n, re, im } = this, ar = new Float64Array(n), ai = new Float64Array(n);
        for (let row = 0; row < this.rows; row++) {
          fill(row, re, im);
          this.fft.forward(re, im);
          const { first, h } = this.filters[row];
          for (let k = 0; k < h.length; k++) {
            ar[first + k] += h[k] * re[first + k];
            ai[first + k] += h[k] * im[first + k];
          }
        }
        this.gain.forEach((d, k) => {
          ar[k] = d > 0 ? ar[k] / d : 0;
          ai[k] = d > 0 ? ai[k] / d : 0;
        });
        this.fft.inverse(ar, ai);
        return ar;
      }

      // S = |W x|, row after row in one array.
      magnitude(x) {
        const { n } = this, S = new Float64Array(this.rows * n);
        this.analyse(x, (row, re, im) => {
          for (let t = 0; t < n; t++) S[row * n + t] = Math.sqrt(re[t] * re[t] + im[t] * im[t]);
        });
        return S;
      }

      // The inverse of S exp(i phase).
      fromPolar(S, phase) {
        return this.synthesise((row, re, im) => {
          for (let t = 0, at = row * this.n; t < this.n; t++, at++) {
            re[t] = S[at] * Math.cos(phase[at]);
            im[t] = S[at] * Math.sin(phase[at]);
          }
        });
      }

      // The part of x that the filters hear.
      project(x) {
        const [re, im] = this.spectrum(x);
        for (let k = 0; k < this.n; k++) {
          if (!(this.gain[Math.min(k, this.n - k)] > 0)) re[k] = im[k] = 0;
        }
        this.fft.inverse(re, im);
        return re;
      }
    }

    engine.Bank = Bank;
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(bank);
  bank(engine);
})();

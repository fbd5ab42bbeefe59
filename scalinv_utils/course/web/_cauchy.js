// The Cauchy wavelet transform of a short periodic signal, as transforms.Scalogram computes it.
// Complex arrays are pairs [real parts, imaginary parts]; a plane lists its rows one after another.
if (!window.ScalinvCauchy) {
  window.ScalinvCauchy = class {
    // scales in samples; the filter is 2 (u exp(1 - u))^beta with u = s w / beta
    constructor(n, scales, beta) {
      Object.assign(this, { n, scales, beta, rows: scales.length, bins: n / 2 });
      const wave = (f) => Float64Array.from({ length: n }, (_, k) => f((2 * Math.PI * k) / n));
      [this.cos, this.sin] = [wave(Math.cos), wave(Math.sin)];
      this.filters = scales.map((s) => Float64Array.from({ length: this.bins }, (_, k) => {
        const u = (s * 2 * Math.PI * k) / (n * beta);
        const value = 2 * Math.exp(beta * (Math.log(u) + 1 - u));
        return value > 1e-20 ? value : 0;
      }));
      // Frequencies that all filters together hardly pass are left out, as W.project does.
      this.gain = this.filters[0].map((_, k) =>
        this.filters.reduce((sum, filter) => sum + filter[k] ** 2, 0));
      const floor = 1e-3 * Math.max(...this.gain);
      this.gain = this.gain.map((g) => (g < floor ? 0 : g));
    }

    // DFT of a real or complex signal at the positive frequencies below Nyquist's.
    spectrum([re, im]) {
      const X = [new Float64Array(this.bins), new Float64Array(this.bins)];
      for (let k = 1; k < this.bins; k++) {
        for (let t = 0, at = 0; t < this.n; t++, at = (at + k) % this.n) {
          X[0][k] += re[t] * this.cos[at] + im[t] * this.sin[at];
          X[1][k] += im[t] * this.cos[at] - re[t] * this.sin[at];
        }
      }
      return X;
    }

    // Half the analytic signal: this spectrum, and no negative frequencies.
    signal(X) {
      const x = [new Float64Array(this.n), new Float64Array(this.n)];
      for (let k = 1; k < this.bins; k++) {
        const [re, im] = [X[0][k] / this.n, X[1][k] / this.n];
        if (re === 0 && im === 0) continue;
        for (let t = 0, at = 0; t < this.n; t++, at = (at + k) % this.n) {
          x[0][t] += re * this.cos[at] - im * this.sin[at];
          x[1][t] += im * this.cos[at] + re * this.sin[at];
        }
      }
      return x;
    }

    // The real signal with this spectrum.
    real(X) {
      return this.signal(X)[0].map((value) => 2 * value);
    }

    // The coefficients W x of the signal with spectrum X.
    coefficients(X) {
      const c = [0, 1].map(() => new Float64Array(this.rows * this.n));
      this.filters.forEach((filter, j) => {
        const row = this.signal(X.map((part) => part.map((value, k) => value * filter[k])));
        row.forEach((part, which) => c[which].set(part, j * this.n));
      });
      return c;
    }

    modulus(c) {
      return c[0].map((re, k) => Math.hypot(re, c[1][k]));
    }
  };

  // magma in ten steps; level 0 is the floor, 1 the peak
  const MAGMA = ["000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668",
    "feca8d", "fcfdbf"].map((hex) => [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  window.ScalinvCauchy.magma = (level) => {
    const at = Math.min(Math.max(level, 0), 1) * (MAGMA.length - 1);
    const k = Math.min(Math.floor(at), MAGMA.length - 2);
    return MAGMA[k].map((value, i) => value + (at - k) * (MAGMA[k + 1][i] - value));
  };
}
